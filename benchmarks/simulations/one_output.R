# One number of a stream: what is left is what a replication costs beside its simulation.
simulate <- function() runif(1)
