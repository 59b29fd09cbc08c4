# Random numbers of a whole script, one replication: the R_PROFILE_USER of `Rscript script.R ...`; the script stays as
# it is. Also of each R process that a script or a command starts, whose stream is another one (below.R).
#
# SIMFERRY_STREAM is the replication's .Random.seed (L'Ecuyer-CMRG). The main process draws from it; parallel tasks take
# its substreams 1, 2, ... in order of submission. How, and what else a script may do about random numbers, stands in
# tasks.R.
local({
  jit <- compiler::enableJIT(0L)   # compiling what runs once takes longer than running it
  given <- Sys.getenv("SIMFERRY_STREAM")
  beside <- file.path(dirname(Sys.getenv("R_PROFILE_USER")), "simferry_worker")
  displaced <- Sys.getenv("SIMFERRY_R_PROFILE_USER", NA)
  Sys.unsetenv("SIMFERRY_STREAM")
  stream <- if (nzchar(given)) suppressWarnings(as.integer(strsplit(given, ",")[[1L]]))    # -2^31 is R's NA: legal here
  if (nzchar(Sys.getenv("SIMFERRY_PROCESSES"))) {
    source(file.path(beside, "below.R"), local = TRUE)
    if (!nzchar(given) && nzchar(Sys.getenv("SIMFERRY_PARENT"))) stream <- stream_below()
    hand_down_streams()
  } else {
    Sys.unsetenv(c("SIMFERRY_R_PROFILE_USER", "R_PROFILE_USER"))
    if (!is.na(displaced)) Sys.setenv(R_PROFILE_USER = displaced)
  }
  if (nzchar(given) && (length(stream) != 7L || !identical(stream[1L] %% 100L, 7L)))
    stop("SIMFERRY_STREAM is '", given, "', not the 7 integers of an L'Ecuyer-CMRG .Random.seed")
  # A message to a socket worker that outgrows 4096 bytes waits 22 ms without it, and a task's state adds 0.4 kB to
  # each.
  if (is.null(getOption("socketOptions"))) options(socketOptions = "no-delay")

  streams <- if (!is.null(stream)) {
    space <- new.env(parent = baseenv())
    for (expression in parse(file.path(beside, "tasks.R"), keep.source = FALSE)) eval(expression, space)
    space$keep_streams(stream)
  }

  compiler::enableJIT(jit)
  for (file in if (is.na(displaced)) c(".Rprofile", "~/.Rprofile") else displaced)
    if (nzchar(file) && file.exists(file)) {
    source(file, local = globalenv(), print.eval = TRUE)
    break
  }
  if (nzchar(Sys.getenv("SIMFERRY_PROCESSES"))) report_own_code()
  if (!is.null(stream)) streams$restart()       # whatever it did about random numbers

  # Several hosts: makeCluster() and registerDoParallel() without arguments span them.
  if (nzchar(given) && nzchar(Sys.getenv("SIMFERRY_CLUSTER"))) {
    source(Sys.getenv("SIMFERRY_CLUSTER"), local = TRUE)
    hosts <- strsplit(Sys.getenv("SIMFERRY_HOSTS"), ",")[[1L]]
    span_hosts(hosts, as.integer(Sys.getenv("SIMFERRY_CORES")), Sys.getenv("SIMFERRY_CLUSTER"))
  }
})
