"""The checks' own tables, one module a lesson (lesson_00, lesson_01, ...), each with a tuple EXERCISES.

They hold the reference solutions: a learner who wants to solve an exercise does not read here.
"""
