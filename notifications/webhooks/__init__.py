"""What providers report: one file per provider that verifies a webhook and puts it in our words."""
