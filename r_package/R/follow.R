# Following a run that another process computes: R looks at it now and then, and stays free to be interrupted.

# on_interrupt: what is done when the user stops here; unless told otherwise the run is stopped too.
follow <- function(run, on_interrupt = stop_run) {
  now <- wait_for(run, on_interrupt)
  if (is.null(now)) return(invisible())
  if (now$failed > 0)
    message(number(now$failed), " of ", number(now$total), " replications failed\nsim_errors(\"", run$id, "\")  tells why\nsim_resume(\"",
            run$id, "\", retry_failed = TRUE)  tries them again")
  if (now$state != "complete") message("run ", run$id, " is ", now$state, ": sim_resume(\"", run$id, "\") goes on")
  invisible(now)
}

# How a run ended: what its progress says, an error, or NULL where the user stopped. Only the waiting can be interrupted.
wait_for <- function(run, on_interrupt) suspendInterrupts({
  progress <- progress_of(run)
  on.exit(progress$end())   # the function's, which this block is evaluated in
  began <- proc.time()[[3L]]
  look <- function() repeat {   # often at first: a script may have many short loops
    now <- ask("progress", run)
    progress$update(now)
    if (now$state != "running" || !is.null(now$outcome)) return(now)
    allowInterrupts(Sys.sleep(min(0.02 + (proc.time()[[3L]] - began) / 20, 0.25)))
  }
  now <- tryCatch(look(), interrupt = function(e) NULL)
  progress$end()
  if (is.null(now)) on_interrupt(run)
  error <- now$outcome$error
  if (!is.null(error)) raise(error$code, error$message, error$hint)
  now
})

stop_run <- function(run) {
  now <- cancel(run)
  raise("interrupted", paste0("stopped; ", number(now$done), " of ", number(now$total), " replications of run ", run$id, " are kept"),
        paste0("sim_resume(\"", run$id, "\")  goes on"))
}

cancel <- function(run) {
  now <- ask("cancel", run)
  forget_interrupt()
  now
}

# list(update, end): a bar of cli's, unless in a document that knitr makes, and an entry in RStudio's jobs pane where there is one.
progress_of <- function(run) {
  home <- environment()
  bar <- NULL
  job <- NULL
  in_rstudio <- has_jobs_pane()
  if (isTRUE(getOption("knitr.in.progress"))) return(list(update = function(now) NULL, end = function() NULL))
  list(
    update = function(now) {
      if (is.null(bar)) {
        bar <<- cli::cli_progress_bar(total = now$total, format = "{cli::pb_bar} {cli::pb_current}/{cli::pb_total} {cli::pb_extra$failed}{cli::pb_eta_str}",
                                      extra = list(failed = ""), .envir = home, .auto_close = FALSE, auto_terminate = FALSE)
        if (in_rstudio) job <<- rstudioapi::jobAdd(paste("simferry", run$id), progressUnits = as.integer(max(now$total, 1)), running = TRUE, show = FALSE)
      }
      failed <- if (now$failed > 0) paste0(number(now$failed), " failed, ") else ""
      cli::cli_progress_update(set = now$done, total = now$total, extra = list(failed = failed), id = bar, .envir = home)
      if (!is.null(job)) {
        rstudioapi::jobSetProgress(job, as.integer(now$done))
        if (now$state != "running") rstudioapi::jobSetState(job, if (now$state == "complete") "succeeded" else "failed")
      }
    },
    end = function() {
      if (!is.null(bar)) cli::cli_progress_done(id = bar, .envir = home)
      if (!is.null(job)) rstudioapi::jobRemove(job)
      bar <<- job <<- NULL
    }
  )
}

has_jobs_pane <- function() requireNamespace("rstudioapi", quietly = TRUE) && rstudioapi::isAvailable() && rstudioapi::hasFun("jobAdd")
