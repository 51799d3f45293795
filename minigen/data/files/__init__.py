"""Reading what others wrote: a user's own texts, tables and pictures, and what matplotlib brings.

These files may hold anything. Every reader gives what was meant, or an error that names the file.
"""
