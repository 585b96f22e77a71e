"""Who may see and do what, and why."""
