"""What is wrong with the signal and its gradient: from figures to findings with a remedy."""
