#' The note on a run
#'
#' A run has a note if [sim_run()] was given one, or this function. It can be changed at any time.
#'
#' @inheritParams verbs
#' @param note `[character(1)]` the new note; `""` removes it. `NULL`: the note stays as it is.
#' @return `[character(1)]` the note, `""` if there is none; invisibly if it was changed.
#' @section Errors: `simferry_error_run_not_found`: there is no such run. `simferry_error_usage`: the note is no text,
#'   or has more than 10,000 bytes.
#' @examplesIf simferry:::python_is_there()
#' average <- function(n) mean(rnorm(n))
#' run <- sim_run(average, sim_grid(n = 9), replications = 2, store = tempfile(), name = "pilot")
#' sim_note(run, "the numbers of table 1")
#' run
#' @export
sim_note <- function(run, note = NULL, store = NULL) {
  if (is.null(note)) return(ask("note", run, store))
  invisible(ask("note", run, store, note = note))
}

#' Delete a run
#'
#' Removes the run's folder, or its objects in S3 and their copy on this machine, at once and without a question. A run
#' that is being computed is not deleted. Other runs that have taken over results of it keep them.
#'
#' @inheritParams verbs
#' @return The address of the run, invisibly.
#' @section Errors: `simferry_error_run_busy`: the run is being computed. `simferry_error_run_not_found`: there is no
#'   such run. `simferry_error_store`: not all of it can be removed.
#' @examplesIf simferry:::python_is_there()
#' run <- sim_run(function(n) mean(rnorm(n)), sim_grid(n = 9), replications = 2, store = tempfile())
#' sim_delete(run)
#' @export
sim_delete <- function(run, store = NULL) {
  gone <- ask("delete", run, store)
  message("deleted ", gone)
  invisible(gone)
}

#' How two runs differ
#'
#' Compares code, environment, seed, design and options, and the results of each replication bit for bit. Conditions are
#' compared if their parameters are equal, whatever their numbers.
#'
#' @param run1,run2 runs of [sim_run()] or [sim_open()], or `[character(1)]` their names, as for [sim_open()].
#' @param store `[character(1)]` where to look for names, as for [sim_open()].
#' @return A list of class `simferry_diff`: `same`, `[logical(1)]`; `code`, `[character(1)]` a unified diff;
#'   `settings`, a data frame of `part`, `setting`, `first` and `second`, the other settings that differ; `both`,
#'   `first_only`, `second_only`, numbers of replications; `replications`, a data frame of `condition`, `replication`
#'   and `outputs`, those that both have and that differ; `outputs`, a data frame of `output`, `replications` (how
#'   many differ), `largest_difference`, `condition` and `replication` (where). Conditions have the numbers of the
#'   first run.
#' @section Errors: `simferry_error_run_not_found`: there is no such run.
#' @examplesIf simferry:::python_is_there()
#' store <- tempfile()
#' average <- function(n) mean(rnorm(n))
#' first <- sim_run(average, sim_grid(n = 9), replications = 2, seed = 1, store = store)
#' second <- sim_run(average, sim_grid(n = 9), replications = 3, seed = 2, store = store)
#' sim_diff(first, second)
#' @export
sim_diff <- function(run1, run2, store = NULL) {
  name_of <- function(run) if (inherits(run, "simferry_run")) run$folder else run
  structure(class = "simferry_diff", bridge("diff", run = name_of(run1), other = name_of(run2), store = store))
}

#' @export
format.simferry_diff <- function(x, ...) as.character(x$text)

#' @export
print.simferry_diff <- function(x, ...) {
  cat(shown(format(x), stdout()), sep = "\n")
  invisible(x)
}
