"""What is particular to AWS: its services' limits, instance types, sessions."""
