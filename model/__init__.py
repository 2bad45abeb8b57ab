"""The words every stage shares: column batches, records people act on, errors, clocks."""
