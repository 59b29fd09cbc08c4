# The worker: runs the stretches of one job beside an R simulation, and writes blocks. It needs base R alone.
#
#   Rscript worker.R check ROOT     is the simulation fit to run? answers in ROOT/check
#   Rscript worker.R run ROOT       runs ROOT/input/plan/job on all of the job's cores
#   Rscript worker.R replay ROOT    runs that job's one replication in the foreground
#   Rscript worker.R wait LOG [STORE]   does what standard input says: see wait() in main.R
#   Rscript worker.R check_and_run ROOT   checks, and runs the job if standard input says so
#
# ROOT/input/code   the script and the files beside it         ROOT/blocks      finished blocks are moved here
# ROOT/input/plan   job: what to run (a block file)             ROOT/artifacts   files that replications wrote
# ROOT/scratch      claims, open files; of no worth afterwards  ROOT/message     why the job can't go on
#
# Its parts lie in the folder simferry_worker beside it; or, in simferry itself, beside it. The same protocol in Python
# stands in their .py twins.

options(warn = 1)
if (Sys.getenv("R_NSIZE") == "1000k") Sys.unsetenv("R_NSIZE")   # launch.py sets it for this process alone
# Not in the global environment: that belongs to the simulation, which may clear it. And by parse(): Rscript parses a
# script's expression anew at each of its lines, which took half a second when all of this stood in one.
(function() {   # by itself: local() takes four frames more
  own <- gsub("~+~", " ", sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1L]), fixed = TRUE)
  space <- new.env(parent = baseenv())
  beside <- file.path(dirname(own), "simferry_worker")
  parts <- list.files(if (dir.exists(beside)) beside else dirname(own), "[.]R$", full.names = TRUE)
  for (file in parts[!basename(parts) %in% c("worker.R", "cluster.R", "profile.R")])
    for (expression in parse(file, keep.source = FALSE)) eval(expression, space)
  compiler::enableJIT(0L)   # until the simulation begins: compiling what runs once takes longer than running it
  fork <- withRestarts({
    space$main(commandArgs(trailingOnly = TRUE))
    space$end_children()
    quit("no")   # here: of a script, what follows the expression that is run is what readLines() reads
  }, simferry_fork = identity)
  fork()   # in a process that the supervisor has forked: what its own functions have on the call stack is gone
})()
