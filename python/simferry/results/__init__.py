"""From the blocks that jobs wrote to tables."""
