#' Work with a run
#'
#' `sim_status()` gives the progress. `sim_watch()` shows it until the run ends or stops; an interrupt ends watching,
#' not the run. `sim_logs()` gives the output of the jobs; with `follow` it shows new lines until the jobs have ended or
#' you interrupt. `sim_cancel()` stops a run and keeps its finished replications. `sim_resume()` computes the missing
#' replications, with the run's own copy of the code. `sim_extend()` adds replications; existing ones do not change.
#'
#' @param run a run of [sim_run()] or [sim_open()], or `[character(1)]` its id, the beginning of it, its folder or
#'   address (`"s3://bucket/folder/RUN"`), its name, or `"latest"`. Runs that this working directory has sent to the
#'   cloud are found too, if no `store` was named for them.
#' @param store `[character(1)]` the folder in which runs live, or an address such as `"s3://bucket/folder"`, where
#'   `run` is an id. `NULL`: `SIMFERRY_STORE`, or `./simferry-runs`.
#' @param job `[character(1)]` one job's name, as `sim_status()` lists them. `NULL`: all.
#' @param follow `[logical(1)]` show new lines until the jobs have ended.
#' @param retry_failed `[logical(1)]` also run failed replications again, each with its own random-number stream.
#' @param changed_code `[logical(1)]` continue although your code outside the run's copy has changed: sourced files,
#'   packages that were built here, Python modules. The results then come from both versions.
#' @param workers `[numeric(1)]` number of cores to use. `NULL`: as when the run began.
#' @param replications `[numeric]` total number of replications of each condition, existing ones included: one number,
#'   or one for each condition.
#' @param add `[numeric(1)]` instead of `replications`: how many more each condition gets.
#' @param detach `[logical(1)]` return at once; the run continues in the background.
#' @param ... new values of the backend's options, such as `jobs`, `instance_type`, `memory`,
#'   `max_runtime` or `budget`: see [sim_docker()], [sim_sagemaker()] and [sim_batch()].
#' @return `sim_status()`: a list of class `simferry_status` with `run`, `state` (`"running"`, `"complete"`,
#'   `"incomplete"`), `total`, `done`, `failed`, `jobs`, the states of the jobs, and `dollars`, their cost so far in US
#'   dollars, at on-demand prices (`NULL` where they are free), and `saved`, what they would have cost more without Spot
#'   machines; while the run is computed also `per_second`, the replications per second, and `seconds_left`, the time
#'   left in seconds; of a run with `until` also `precision`, how far it is from its targets, in words. `sim_logs()`: a
#'   named character vector, an element per job; `NULL` with `follow`. The others: the run, invisibly.
#' @section Errors:
#' `simferry_error_run_not_found`: there is no such run; the nearest ones are named. `simferry_error_run_busy`: another
#' process is computing it. `simferry_error_simulation`: your code outside the run's copy has changed; the error names
#' it. `simferry_error_interrupted`: the run was stopped and can be resumed, or its jobs continue, see
#' [sim_sagemaker()].
#' @examplesIf simferry:::python_is_there()
#' draw <- function(n) mean(rnorm(n))
#' run <- sim_run(draw, sim_grid(n = c(10, 20)), replications = 10, seed = 1, store = tempfile())
#' sim_status(run)
#' sim_extend(run, 20)
#' @name verbs
NULL

#' @rdname verbs
#' @export
sim_status <- function(run, store = NULL) {
  now <- ask("status", run, store)
  structure(class = "simferry_status",
            list(run = now$id, state = now$state, total = now$total, done = now$done, failed = now$failed,
                 jobs = unlist(now$jobs), dollars = now$dollars, saved = now$saved,
                 per_second = now$per_second, seconds_left = now$seconds_left,
                 precision = if (nzchar(now$precision)) now$precision, pace = now$pace, said = now$said,
                 handle = now$handle))
}

#' @export
format.simferry_status <- function(x, ...)
  paste(c(paste0("run ", x$run, ": ", x$state), paste(number(x$done), "of", counted(x$total, "replication"), "done"),
          paste(number(x$failed), "failed"),
          x$pace[nzchar(x$pace)]), collapse = ", ")

#' @export
print.simferry_status <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  if (nzchar(x$said)) cat("  jobs: ", x$said, "\n", sep = "")
  jobs <- utils::tail(x$jobs, 20L)
  if (length(jobs)) cat(paste0("  job ", names(jobs), ": ", jobs), sep = "\n")
  if (!is.null(x$precision)) cat("  ", x$precision, "\n", sep = "")
  if (x$state == "incomplete") cat("sim_resume(", quoted(x$handle), ")  goes on\n", sep = "")
  invisible(x)
}

#' @rdname verbs
#' @export
sim_watch <- function(run, store = NULL) {
  run <- as_run(run, store)
  follow(run,
         on_interrupt = function(run) message("run ", run$id, " goes on; sim_cancel(", quoted(run$handle),
                                              ")  stops it"))
  invisible(run)
}

#' @rdname verbs
#' @export
sim_logs <- function(run, job = NULL, follow = FALSE, store = NULL) {
  if (follow) return(follow_logs(as_run(run, store), job))
  texts <- ask("logs", run, store, job = job)
  stats::setNames(as.character(unlist(texts)), names(texts))
}

follow_logs <- function(run, job) suspendInterrupts({
  ask("logs_follow", run, job = job)
  on.exit(bridge("logs_leave"))
  look <- function() repeat {
    now <- ask("logs_lines", run, job = job)
    for (line in now$lines) cat(shown(line, stdout()), "\n", sep = "")
    if (now$ended) return()
    allowInterrupts(Sys.sleep(0.1))
  }
  tryCatch(look(), interrupt = function(e) NULL)
  invisible()
})

#' @rdname verbs
#' @export
sim_cancel <- function(run, store = NULL) {
  run <- as_run(run, store)
  now <- ask("cancel", run)
  message("run ", run$id, " is stopped; ", number(now$done), " of ", counted(now$total, "replication"), " ",
          are(now$total), " kept")
  invisible(run)
}

#' @rdname verbs
#' @export
sim_resume <- function(run, retry_failed = FALSE, changed_code = FALSE, workers = NULL, detach = FALSE, store = NULL,
                       ...)
  go_on(run, store, detach, retry_failed = retry_failed, changed_code = changed_code, workers = workers, ...)

#' @rdname verbs
#' @export
sim_extend <- function(run, replications = NULL, changed_code = FALSE, workers = NULL, detach = FALSE, store = NULL,
                       add = NULL, ...)
  go_on(run, store, detach, extend = TRUE, replications = replications, add = add, changed_code = changed_code,
        workers = workers, ...)

go_on <- function(run, store, detach, ...) {
  run <- as_run(run, store)
  suspendInterrupts({
    ask("resume", run, ...)
    if (!detach) follow(run)
  })
  invisible(run)
}

#' Results of a run
#'
#' `sim_results()` gives all results as one table. `sim_summary()` gives mean, standard deviation and Monte Carlo
#' standard error of each numeric output. `sim_errors()` lists the failed replications, `sim_warnings()` the warnings.
#'
#' @inheritParams verbs
#' @param by `[character]` outputs that distinguish the rows of one replication, such as `"method"`: each of their
#'   values gets its own row of the summary. `NULL`: the text outputs. Rows of a replication that none of these
#'   distinguishes are averaged first.
#' @param conditions `[numeric]` numbers of conditions, of which alone the rows are read. `NULL`: all.
#' @return A data frame (a tibble where the package tibble is loaded).
#'   `sim_results()`: `condition`, `replication`, the parameters, the outputs; a row per replication, or several where
#'   the simulation returned several. `sim_summary()`: `condition`, the parameters, `replications` (number with a
#'   value), `failed`, `missing` (number that did not fail but have no value: NA, NaN or nothing), `warnings`, `output`,
#'   `mean`, `sd`, `mcse` (the sd divided by the square root of `replications`). `sim_errors()`: `condition`,
#'   `replication`, the parameters, `message`, `call`, `traceback`. `sim_warnings()`: `condition`, `replication`, the
#'   parameters, `message`, `count`.
#' @section Errors: `simferry_error_run_not_found`: there is no such run; the nearest ones are named.
#'   `simferry_error_usage`: there is no output of a name in `by`.
#' @examplesIf simferry:::python_is_there()
#' draw <- function(n) c(m = mean(rnorm(n)))
#' run <- sim_run(draw, sim_grid(n = c(10, 20)), replications = 10, seed = 1, store = tempfile())
#' head(sim_results(run))
#' sim_summary(run)
#' sim_errors(run)
#' @export
sim_results <- function(run, store = NULL, conditions = NULL)
  as_table(ask("results", run, store, conditions = conditions))

#' Results that do not fit the memory
#'
#' `sim_dataset()` opens the table of [sim_results()] with the package arrow, which reads no more of it than is asked
#' for, for example by `dplyr::filter()`. Without that package `sim_results(run, conditions = 1:10)` reads it in pieces.
#'
#' @inheritParams verbs
#' @return A `Dataset` of the package arrow, sorted by condition and replication. Open it again when the run has grown.
#' @section Errors: `simferry_error_run_not_found`: there is no such run; the nearest ones are named.
#'   `simferry_error_usage`: the package arrow is not installed.
#' @examplesIf simferry:::python_is_there() && requireNamespace("arrow", quietly = TRUE)
#' draw <- function(n) c(m = mean(rnorm(n)))
#' run <- sim_run(draw, sim_grid(n = c(10, 20)), replications = 10, seed = 1, store = tempfile())
#' sim_dataset(run)
#' @export
sim_dataset <- function(run, store = NULL) {
  if (!requireNamespace("arrow", quietly = TRUE))
    raise("usage", "sim_dataset() needs the package arrow, which is not installed",
          "install.packages(\"arrow\"), or read some conditions at a time: sim_results(run, conditions = 1:10)")
  arrow::open_dataset(ask("dataset", run, store))
}

#' @rdname sim_results
#' @export
sim_summary <- function(run, by = NULL, store = NULL) as_table(ask("summary", run, store, by = by))

#' @rdname sim_results
#' @export
sim_errors <- function(run, store = NULL) as_table(ask("errors", run, store))

#' @rdname sim_results
#' @export
sim_warnings <- function(run, store = NULL) as_table(ask("warnings", run, store))

as_table <- function(x) if (isNamespaceLoaded("tibble")) tibble::as_tibble(x) else x

#' Run one replication again
#'
#' The replication runs in the foreground, on this machine, with its own random numbers. Its output is shown, then its
#' value, or its error and traceback. If the run has an image that is on this machine, the replication runs in it. You
#' can also run replications beyond the last one of the run.
#'
#' @inheritParams verbs
#' @param condition `[numeric(1)]` the condition's number.
#' @param replication `[numeric(1)]` the replication's number, from 1.
#' @return A list, invisibly: `value`, the return value of the function, or the text of a script's results file (`NULL`
#'   if it failed, and for simulations in Python); `failed`, `[logical(1)]`; `output`, `[character(1)]`, the text that
#'   was shown.
#' @section Errors:
#' `simferry_error_usage`: there is no such condition. A replication that fails raises no error.
#' @examplesIf simferry:::python_is_there()
#' draw <- function(n) mean(rnorm(n))
#' run <- sim_run(draw, sim_grid(n = c(10, 20)), replications = 10, seed = 1, store = tempfile())
#' sim_replay(run, condition = 2, replication = 7)
#' @export
sim_replay <- function(run, condition, replication, store = NULL) {
  replayed <- ask("replay", run, store, condition = condition, replication = replication)
  cat(shown(replayed$output, stdout()))
  invisible(list(value = if (length(replayed$value)) unserialize(replayed$value), failed = replayed$failed,
                 output = replayed$output))
}

#' Files that replications wrote
#'
#' The files that a whole script wrote into its output folder, or `value.rds`: the return value of a function that can't
#' be a row of a table. Files of a run in S3 are downloaded. With `folder` they are copied there; links are neither
#' followed nor copied.
#'
#' @inheritParams sim_replay
#' @param condition,replication `[numeric(1)]` their numbers, from 1. `NULL`: all.
#' @param pattern `[character(1)]` condition/replication/file, such as `"3/*/plot.png"`: `*` stands for any part of a
#'   name, `**` also for folders. `NULL`: all files.
#' @param folder `[character(1)]` copy the files there, in folders of their condition and replication. `NULL`: no
#'   copies.
#' @return `[character]` their paths, or those of the copies.
#' @section Errors: `simferry_error_run_not_found`: there is no such run; the nearest ones are named.
#'   `simferry_error_usage`: nothing matches the pattern, or a file is in `folder` already: then nothing is copied.
#' @examplesIf simferry:::python_is_there()
#' fit <- function(n) lm(y ~ x, data.frame(x = 1:n, y = rnorm(n)))
#' run <- sim_run(fit, sim_grid(n = 20), replications = 2, seed = 1, store = tempfile())
#' readRDS(sim_artifacts(run, condition = 1, replication = 2))
#' @export
sim_artifacts <- function(run, condition = NULL, replication = NULL, pattern = NULL, folder = NULL, store = NULL)
  ask("artifacts", run, store, condition = condition, replication = replication, pattern = pattern, folder = folder)

#' What replications returned whole
#'
#' Values that are not, or not whole, rows of [sim_results()], such as fitted models and nested lists, of all
#' replications at once.
#'
#' @inheritParams verbs
#' @param trust `[logical(1)]` also read files that could run code, whoever wrote them: those that hold functions, calls
#'   or environments, as fitted models do, and those of Python. Without it they are read only where your local backend
#'   wrote them, in a folder of this machine. All others are read without running code.
#' @return A data frame (a tibble where the package tibble is loaded) with a row for each replication with such a value:
#'   `condition`, `replication`, the parameters, and `value`, a list.
#' @section Errors: `simferry_error_run_not_found`: there is no such run; the nearest ones are named.
#'   `simferry_error_usage`: a value can't be read without `trust = TRUE`, or the run is of a script or a command.
#' @examplesIf simferry:::python_is_there()
#' fit <- function(n) lm(y ~ x, data.frame(x = 1:n, y = rnorm(n)))
#' run <- sim_run(fit, sim_grid(n = c(10, 20)), replications = 2, seed = 1, store = tempfile())
#' fits <- sim_values(run)
#' lapply(fits$value, coef)
#' @export
sim_values <- function(run, trust = FALSE, store = NULL) {
  found <- ask("values", run, store, trust = trust)
  for (i in which(!is.na(found$file))) found$values[[i]] <- readRDS(found$file[[i]])
  name <- if ("value" %in% names(found$table)) "value_result" else "value"
  found$table[[name]] <- found$values
  as_table(found$table)
}

#' The runs of a store
#'
#' @inheritParams verbs
#' @return `sim_list()`: a data frame, a row per run, oldest first: `run`, `name`, `created`, `state`, `conditions`,
#'   `done`, `total`, `failed`, `seed`, `folder` (or address), `note`. `sim_open()`: the run.
#' @section Errors: `simferry_error_run_not_found`: there is no such run; the nearest ones are named.
#' @examplesIf simferry:::python_is_there()
#' sim_list(store = tempfile())
#' @export
sim_list <- function(store = NULL) as_table(bridge("list", store = store))

#' @rdname sim_list
#' @export
sim_open <- function(run, store = NULL) new_run(ask("open", run, store))

# A verb on a run: a run object, by its folder, or a name.
ask <- function(verb, run, store = NULL, ...) {
  bridge(verb, run = if (inherits(run, "simferry_run")) run$folder else run, store = store, ...)
}

as_run <- function(run, store = NULL) if (inherits(run, "simferry_run")) run else sim_open(run, store)
