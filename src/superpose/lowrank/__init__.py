"""Pure algebra on deltas in factored form, on any array-API namespace."""
