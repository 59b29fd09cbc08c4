# Rscript ttest_mclapply.R SIMULATION REPLICATIONS: two forked processes, nothing kept on disk.
arguments <- commandArgs(trailingOnly = TRUE)
source(arguments[1])
replications <- as.integer(arguments[2])

RNGkind("L'Ecuyer-CMRG")
set.seed(1)
results <- parallel::mclapply(seq_len(replications), function(i) simulate(), mc.cores = 2)
results <- as.data.frame(do.call(rbind, results))
stopifnot(nrow(results) == replications)
