"""The checks' own tables, one module a lesson (lesson_00, ...), each with a tuple EXERCISES.

They hold the reference solutions: a learner who wants to solve an exercise does not read here.

How to write one. In lessons/NN_name.ipynb the cell of an exercise holds a stub and its check, whose
result the lesson goes on with; in lessons/solutions the same cell, solved:

    def multiply_vjps(x, y, g):
        raise NotImplementedError


    multiply_vjps = check("02.multiply", multiply_vjps)

Here stands its table:

    Exercise(
        "02.multiply",
        "The rule of multiplication",
        reference=multiply_vjps,  # runs in the lesson, too, where the learner's does not
        alternatives=(by_loops, by_logarithms),  # two or more right answers that go another way
        wrong=(  # eight or more, each with the message it deserves: a question, not the solution
            (lambda x, y, g: (g * x, g * y), "These are both gradients, in the wrong places."),
            ...
        ),
        hints=("Hold y constant.", "Every rule is multiplied by g."),
        edges=((np.zeros((1, 3)), -np.ones((1, 3)), np.ones((1, 3))),),  # tried first
        inputs=some_arrays,  # rng -> one tuple of arguments, called for each of six tries
        forbidden=("minigen.ops.mul",),  # what the package has already
    )

* Inputs: over all tries every axis of every array takes two lengths at least and every number two
  values (a test demands it, with a short list of exceptions); vary ranks, dtypes, signs and orders
  too. Edges are what the text allows and a careless answer forgets: none, one, equal, zero, the
  first and the last, uint8, a probability of 0.
* Arguments are arrays, numbers, tuples, generators, or whatever `run(answer, *arguments)` makes of
  them: use `run` to build a network or to hand in a function, and name its arguments, because
  examples are printed under these names. `run` must not repair an answer: what it returns is
  compared with what the reference gives there.
* Where many answers are right, `run` returns what is asked of them (see 04.mix_fast, 10.schedule).
  A threshold is held against the truth and has a margin.
* An answer in words: `reference=("leak", "healthy")` or "312" with `choices=`; separators and case
  do not matter, and messages must not tell entry by entry where a few guesses would do. A number:
  `reference=0.25`.
* What the exercise's text warns of, and the planted bugs of its lesson, are among the wrong.

`pytest tests/test_course.py -s` proves every table: right answers pass, wrong ones fail with their
message. With `-m thorough` it makes thousands of wrong answers of the references, and prints how
many pass and how many hear nothing that helps.
"""
