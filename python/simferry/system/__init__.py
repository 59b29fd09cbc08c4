"""The operating system: files, processes, the terminal, and folders that others write to."""
