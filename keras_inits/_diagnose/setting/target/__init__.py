"""What the net is to give: labels and measurements, weights of samples, the loss of a guess."""
