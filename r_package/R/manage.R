#' The note on a run
#'
#' A run has a note if [sim_run()] was given one, or this function. It can be changed at any time.
#'
#' @inheritParams verbs
#' @param note `[character(1)]` the new note; `""` removes it. `NULL`: the note stays as it is.
#' @return `[character(1)]` the note, `""` if there is none; invisibly if it was changed.
#' @section Errors: `simferry_error_run_not_found`: there is no such run. `simferry_error_usage`: the note is no text, or
#'   has more than 10,000 bytes.
#' @examplesIf simferry:::python_is_there()
#' run <- sim_run(function(n) mean(rnorm(n)), sim_grid(n = 9), replications = 2, store = tempfile(), name = "pilot")
#' sim_note(run, "the numbers of table 1")
#' run
#' @export
sim_note <- function(run, note = NULL, store = NULL) {
  if (is.null(note)) return(ask("note", run, store))
  invisible(ask("note", run, store, note = note))
}
