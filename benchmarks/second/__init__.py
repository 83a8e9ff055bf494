"""The second tournament: registered before it ran, on domains of which most are new."""
