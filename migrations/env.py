"""How Alembic runs our revisions: on the connection that ``scheduler.migrate`` opened, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
