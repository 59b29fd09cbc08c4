"""What requests to a service say."""
