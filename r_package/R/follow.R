# Following a run that another process computes: R looks at it now and then, and stays free to be interrupted.

# on_interrupt: what is done when the user stops here; unless told otherwise the run is stopped too.
follow <- function(run, on_interrupt = stop_run) {
  now <- wait_for(run, on_interrupt)
  if (is.null(now)) return(invisible())
  if (now$failed > 0)
    message(number(now$failed), " of ", counted(now$total, "replication"), " failed\nsim_errors(", quoted(run$handle),
            ")  says why\nsim_resume(",
            quoted(run$handle), ", retry_failed = TRUE)  tries them again")
  if (now$state != "complete")
    message("run ", run$id, " is ", now$state, ": sim_resume(", quoted(run$handle), ") goes on")
  invisible(now)
}

# How a run ended: what its progress says, an error, or NULL where the user stopped. Only the waiting can be
# interrupted.
wait_for <- function(run, on_interrupt) suspendInterrupts({
  progress <- progress_of(run)
  on.exit(progress$end())   # the function's, which this block is evaluated in
  began <- proc.time()[[3L]]
  look <- function() repeat {   # often at first: a script may have many short loops
    now <- ask("progress", run)
    if (!is.null(now$total)) progress$update(now)   # its driver has reported something
    if (now$state != "running" || !is.null(now$outcome)) return(now)
    wait_for_end(run, max(now$pause, min(0.02 + (proc.time()[[3L]] - began) / 20, 0.25)))
  }
  now <- tryCatch(look(), interrupt = function(e) NULL)
  progress$end()
  if (is.null(now)) on_interrupt(run)
  error <- now$outcome$error
  if (!is.null(error)) raise(error$code, error$message, error$hint)
  now
})

# At most so many seconds; shorter where the process that computes the run is done. R looks at interrupts in between.
wait_for_end <- function(run, seconds) {
  until <- proc.time()[[3L]] + seconds
  repeat {
    allowInterrupts(Sys.sleep(0))
    left <- until - proc.time()[[3L]]
    if (left <= 0 || suspendInterrupts(python()$has_ended(run$folder, min(left, 0.1)))) return()
  }
}

# In good order, or detaching from jobs that go on elsewhere: the error says which. There is none where it ended just
# then.
stop_run <- function(run) {
  ask("interrupt", run)
  forget_interrupt()
}

cancel <- function(run) {
  now <- ask("cancel", run)
  forget_interrupt()
  now
}

# list(update, end): a bar of cli's, unless in a document that knitr makes, and an entry in RStudio's jobs pane where
# there is one.
progress_of <- function(run) {
  home <- environment()
  bar <- NULL
  job <- NULL
  updated <- proc.time()[[3L]]
  in_rstudio <- has_jobs_pane()
  if (isTRUE(getOption("knitr.in.progress"))) return(list(update = function(now) NULL, end = function() NULL))
  list(
    update = function(now) {
      if (is.null(bar)) {
        bar <<- cli::cli_progress_bar(total = now$total,
                                      format = "{cli::pb_bar} {cli::pb_current}/{cli::pb_total} {cli::pb_extra$status}",
                                      extra = list(status = ""), .envir = home, .auto_close = FALSE,
                                        auto_terminate = FALSE)
        if (in_rstudio)
          job <<- rstudioapi::jobAdd(paste("simferry", run$id), progressUnits = as.integer(max(now$total, 1)),
                                     running = TRUE, show = FALSE)
      }
      if (!is.null(job)) {
        rstudioapi::jobSetProgress(job, as.integer(now$done))
        if (now$state != "running") rstudioapi::jobSetState(job, if (now$state == "complete") "succeeded" else "failed")
      }
      if (!cli::is_dynamic_tty() && now$state == "running") {   # a file, where every look would be a line
        if (proc.time()[[3L]] - updated < 10) return()
        updated <<- proc.time()[[3L]]
      }
      status <- c(if (now$failed > 0) paste(number(now$failed), "failed"), now$pace[nzchar(now$pace)],
                  if (nzchar(now$said)) paste("jobs:", now$said))
      cli::cli_progress_update(set = now$done, total = now$total, extra = list(status = paste(status, collapse = ", ")),
                               id = bar, .envir = home)
    },
    end = function() {
      if (!is.null(bar)) cli::cli_progress_done(id = bar, .envir = home)
      if (!is.null(job)) rstudioapi::jobRemove(job)
      bar <<- job <<- NULL
    }
  )
}

has_jobs_pane <- function() {
  requireNamespace("rstudioapi", quietly = TRUE) && rstudioapi::isAvailable() && rstudioapi::hasFun("jobAdd")
}
