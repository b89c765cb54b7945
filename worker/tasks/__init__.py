"""Celery's tasks, a module for each kind of worker process. Thin: a message is a signed hint to look at the operations table."""
