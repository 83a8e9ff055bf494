"""The arena of merge methods: registered before it ran, on the second tournament's adapters."""
