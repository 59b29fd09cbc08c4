# Rscript conditions_mclapply.R SIMULATION DESIGN.csv: one replication of every condition, nothing kept on disk.
arguments <- commandArgs(trailingOnly = TRUE)
source(arguments[1])
design <- read.csv(arguments[2])

RNGkind("L'Ecuyer-CMRG")
set.seed(1)
design$value <- unlist(parallel::mclapply(
  seq_len(nrow(design)),
  function(row) do.call(simulate, as.list(design[row, ])),
  mc.cores = 2
))
stopifnot(all(design$value == design$a + design$b))
