"""Write the first draft of a dataset from one file of a partner."""
