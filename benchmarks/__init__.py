"""How fast the service is, beside what the stack could do at best: `make bench`, and docs/performance.md."""
