"""How well a history's churn would have been foreseen, by the scorer's own code, in process."""
