# Rscript bare_loop.R SCRIPT REPLICATIONS: its simulate(), called in a loop; prints microseconds of each call.
arguments <- commandArgs(TRUE)
source(arguments[1])
replications <- as.integer(arguments[2])
begin <- proc.time()
results <- vapply(seq_len(replications), function(i) simulate()[[1]], 0)
cat(sum((proc.time() - begin)[1:2]) / replications * 1e6, "\n")
