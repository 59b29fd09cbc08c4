#' Run a simulation
#'
#' Runs a simulation `replications` times for each condition of a design, on all cores unless told otherwise. The run is
#' computed by processes of its own: R can be interrupted (Ctrl-C, or RStudio's stop button), and the run is then
#' stopped in good order; [sim_resume()] goes on with it. On SageMaker its jobs go on instead, see [sim_sagemaker()].
#'
#' A function is called once per replication with the design's columns as arguments. It returns a number, a named
#' vector, a list of single values, or a data frame of one or more rows; anything else is kept whole, as an .rds file.
#' Each replication has a random-number stream of its own: leave `set.seed()` out. The objects that a function refers to
#' are sent with it, and the packages in which it finds what it calls are attached; `pkg::name` works as everywhere.
#'
#' @param simulation a function, or `[character(1)]` the path of a script (.R or .py) that defines the function
#'   `function_name`, of a whole script or program (with `args`), or of a sweep file (.toml), whose settings the other
#'   arguments go over.
#' @param design a design of [sim_grid()] and its kin, any data frame with a row per condition, or the path of a CSV or
#'   Parquet file. `NULL`: one condition without parameters.
#' @param replications `[numeric(1)]` how many replications of each condition.
#' @param seed `[numeric(1)]` from 0 to 2^31 - 1. Without one, one is drawn, printed and recorded.
#' @param function_name `[character(1)]` the function of the script.
#' @param args `[character(1)]` a template such as `"{n} {effect}"`. It makes the target a whole script (or a program),
#'   run once per replication with these arguments, which R scripts find with `commandArgs(trailingOnly = TRUE)`;
#'   `{replication}`, `{seed}` and `{condition}` may be used as well.
#' @param include `[character]` files and folders that come along, relative to the script.
#' @param constants `[named list]` objects given to the function in every replication, sent once.
#' @param packages `[character]` packages that are attached for a function besides those that it is seen to use.
#' @param results_file `[character(1)]` what a whole script writes in its output folder to be read as rows: CSV, JSON or
#'   numbers.
#' @param inputs `[named character]` files that the simulation reads, which come along: by name a file, a folder or an
#'   address in S3, such as `c(data = "data.csv")`. It finds them in the folder `file.path(Sys.getenv("SIMFERRY_INPUT"),
#'   "data")`, in containers /opt/ml/processing/input/data. Or a list, whose elements may be lists of `place`, `mode`
#'   (`"File"`, or `"Pipe"`: read once from a named pipe, on SageMaker only) and `sharded` (`TRUE`: each host gets its
#'   share of the files).
#' @param common `[character]` parameters (or `"all"`) that do not change the random numbers: conditions that differ
#'   only there share them.
#' @param store `[character(1)]` the folder in which runs live, or an address such as `"s3://bucket/folder"`. `NULL`:
#'   `SIMFERRY_STORE`, or `./simferry-runs`; for SageMaker the folder simferry of the account's default bucket.
#' @param backend where it runs: [sim_local()], [sim_docker()], [sim_sagemaker()], or a backend's name.
#' @param workers `[numeric(1)]` cores to use. `NULL`: all of them.
#' @param cores `[numeric(1)]` cores that one replication uses. `NULL`: 1 for functions, all workers for scripts and
#'   programs.
#' @param on_error `"continue"`, or `"stop"` to end the run at the first failed replication.
#' @param replication_timeout `[numeric(1)]` seconds after which a replication is ended and recorded as failed.
#' @param retries `[numeric(1)]` how often what a lost job left undone is tried again.
#' @param keep_files `[logical(1)]` keep as artifacts what a function writes into its working directory, too; of scripts
#'   and commands it always is.
#' @param fresh `[logical(1)]` compute anew what an earlier run in the same store has computed.
#' @param detach `[logical(1)]` return at once; the run goes on in the background, and R may end. [sim_watch()] follows
#'   it.
#' @return A run: an object of class `simferry_run`. `print()` tells how far it is, `as.data.frame()` is
#'   [sim_results()], `summary()` is [sim_summary()], `plot()` draws means with their Monte Carlo standard errors.
#' @section Errors:
#' `simferry_error_simulation`: the script or function is not there, can't be parsed or loaded, has other arguments than
#' the design has columns; or refers to something that can't be sent, which is named. `simferry_error_design`,
#' `simferry_error_usage`: what was asked for can't be done. All of these come before anything starts.
#' `simferry_error_interrupted`: it was stopped, and can be resumed. `simferry_error_worker`, `simferry_error_store`:
#' the run can't go on. On SageMaker `simferry_error_credentials`: there are none, or they have expired;
#' `simferry_error_aws`: AWS refuses; `simferry_error_quota`: the account's quota is 0; `simferry_error_budget`: the
#' budget does not allow more. A replication that fails is no error: it is recorded, see [sim_errors()].
#' @examplesIf simferry:::python_is_there()
#' power <- function(n, effect) {
#'   x <- rnorm(n, effect)
#'   c(p = t.test(x)$p.value, estimate = mean(x))
#' }
#' design <- sim_grid(n = c(10, 20), effect = c(0, 0.5))
#' run <- sim_run(power, design, replications = 20, seed = 2026, store = tempfile())
#' run
#' head(sim_results(run))
#' summary(run)
#' @export
sim_run <- function(simulation, design = NULL, replications = NULL, seed = NULL, function_name = NULL, args = NULL,
                    include = NULL, constants = list(), packages = character(), results_file = NULL, inputs = NULL,
                    common = NULL, store = NULL, backend = NULL, workers = NULL, cores = NULL, on_error = NULL,
                    replication_timeout = NULL, retries = NULL, keep_files = FALSE, fresh = FALSE, detach = FALSE) {
  simulation <- as_simulation(simulation, substitute(simulation), constants, packages)
  suspendInterrupts({   # what has begun is followed, and stopped in good order
    made <- bridge("run",
      simulation = simulation, design = as_columns(design), replications = replications, seed = seed,
      function_name = function_name, args = args, include = include, results_file = results_file, inputs = inputs,
      common = common, store = store, backend = backend, workers = workers, cores = cores, on_error = on_error,
      replication_timeout = replication_timeout, retries = retries,
      keep_files = if (!isFALSE(keep_files)) keep_files, fresh = fresh
    )
    run <- new_run(made)
    message("run ", run$id, ": ", counted(made$conditions, "condition"), " x ",
            counted(made$replications, "replication"),
            ", seed ", made$seed, if (made$drawn) ", drawn")
    if (made$taken_over > 0)
      message(number(made$taken_over), " of ", number(made$conditions * made$replications),
              " replications were computed by earlier runs and are taken over (fresh = TRUE computes anew)")
    if (nzchar(made$note)) message(made$note)
    if (detach) message("It goes on in the background: sim_watch(", quoted(run$handle), ")") else follow(run)
  })
  invisible(run)
}

# A path stays one. A function is written down for the workers, under the name that the user called it by.
as_simulation <- function(simulation, expression, constants, packages) {
  if (!is.function(simulation)) {
    if (length(constants) || length(packages))
      raise("usage", "constants and packages go with a function",
            "A script can define its own objects, and call library().")
    return(simulation)
  }
  write_function(simulation, if (is.name(expression)) as.character(expression) else "simulation", constants, packages)
}

#' What a run would compute, and how long
#'
#' Takes what [sim_run()] takes. A pilot of a few replications (at most 20 seconds) is run to see how long they take;
#' they are kept, and a run with the same seed does not compute them again. For SageMaker the pilot runs on this machine
#' and is not kept, and the plan tells what the run would take and cost, by instance type and number of jobs.
#'
#' @inheritParams sim_run
#' @param pilot `[logical(1)]` `FALSE`: run nothing; there is then no forecast of the time.
#' @param deadline `[character(1)]` such as `"2h"` or `"90m"`, or `[numeric(1)]` seconds: for SageMaker, the cheapest
#'   way to be done within it.
#' @param budget `[numeric(1)]` US dollars: for SageMaker, the fastest way for them.
#' @param refresh_prices `[logical(1)]` ask AWS for today's prices, and keep them.
#' @return A list of class `simferry_forecast`: `conditions`, `replications`, `total`, `already_there` (replications
#'   that earlier runs have), `workers`, `seed`, `code` (a data frame of `name` and `path`: what enters the hash by
#'   which results of earlier runs are known
#'   again: the function or script, included files, and code of yours from elsewhere, such as files that are sourced and
#'   packages that were built here), and with a pilot `pilot_run`, `pilot_replications`, `seconds_per_replication`,
#'   `longest_replication` (in seconds), `core_seconds`, `seconds` (of wall time), `slowest_condition`. For SageMaker
#'   instead of `seconds` a list `cloud`: `rows`, a data frame with `instance_type`, `jobs`, `cores` (of one instance),
#'   `seconds`, `dollars` and `remark`, which is also what `as.data.frame()` gives; `cheapest` within the deadline and
#'   `fastest` within the budget, a row each, as a list; `notes`, `[character]`, what to know.
#' @section Errors: Those of [sim_run()].
#' @examplesIf simferry:::python_is_there()
#' draw <- function(n) mean(rnorm(n))
#' sim_plan(draw, sim_grid(n = c(10, 20)), replications = 1000, store = tempfile())
#' \dontrun{
#' sim_plan(draw, sim_grid(n = c(10, 20)), replications = 1e8, backend = "sagemaker", deadline = "2h")
#' }
#' @export
sim_plan <- function(simulation, design = NULL, replications = NULL, seed = NULL, function_name = NULL, args = NULL,
                     include = NULL, constants = list(), packages = character(), results_file = NULL, inputs = NULL,
                     common = NULL, store = NULL, backend = NULL, workers = NULL, cores = NULL, pilot = TRUE,
                     deadline = NULL, budget = NULL, refresh_prices = FALSE) {
  simulation <- as_simulation(simulation, substitute(simulation), constants, packages)
  structure(class = "simferry_forecast", bridge("plan",
    simulation = simulation, design = as_columns(design), replications = replications, seed = seed,
    function_name = function_name, args = args, include = include, results_file = results_file, inputs = inputs,
    common = common, store = store, backend = backend, workers = workers, cores = cores, pilot = pilot,
    deadline = deadline, budget = budget, refresh_prices = if (refresh_prices) TRUE
  ))
}

#' @export
format.simferry_forecast <- function(x, ...) {
  size <- paste0(counted(x$conditions, "condition"), " x ", counted(x$replications, "replication"), " = ",
                 number(x$total))
  code <- paste("code:", x$code_shown)
  if (!is.null(x$cloud)) return(c(size, code, format_cloud(x)))
  if (is.null(x$seconds)) return(c(size, code))
  slow <- x$slowest_condition
  slow$seconds <- NULL
  c(paste0(size, "; ", number(x$already_there), " already there"), code,
    sprintf("a replication takes %.3g s on average (a pilot of %s, kept in %s)", x$seconds_per_replication,
            number(x$pilot_replications), x$pilot_run),
    sprintf("all of it about %s on %s (%s of core time)", duration(x$seconds), counted(x$workers, "core"),
            duration(x$core_seconds)),
    sprintf("slowest: %s: %.3g s a replication", paste(names(slow), slow, collapse = ", "),
            x$slowest_condition$seconds),
    sprintf("seed = %d  uses the pilot's replications", x$seed))
}

format_cloud <- function(x) {
  rows <- x$cloud$rows
  if (length(rows)) {
    rows <- data.frame(rows$instance_type, rows$jobs, rows$cores, vapply(rows$seconds, duration, ""),
                       sprintf("$%.2f", rows$dollars), rows$remark)
    names(rows) <- c("instance type", "jobs", "vCPUs each", "time", "cost", "")
  }
  c(if (!is.null(x$core_seconds))
      sprintf("a replication takes %.3g s on average, %.3g s at most (a pilot of %s); %s of core time in all",
              x$seconds_per_replication,
              x$longest_replication, number(x$pilot_replications), duration(x$core_seconds)),
    if (length(rows)) c("", utils::capture.output(print(rows, row.names = FALSE, right = FALSE)), ""), x$cloud$notes)
}

#' @export
as.data.frame.simferry_forecast <- function(x, ...) {
  if (is.null(x$cloud))
    raise("usage", "this plan has no table: it is not for the cloud", "sim_plan(..., backend = \"sagemaker\")")
  x$cloud$rows
}

#' @export
print.simferry_forecast <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}

duration <- function(seconds) {
  if (seconds < 9.95) return(sprintf("%.1f s", seconds))
  if (seconds < 119.5) return(sprintf("%.0f s", seconds))
  minutes <- round(seconds / 60)
  if (minutes < 120) sprintf("%d min", minutes) else sprintf("%d h %02d min", minutes %/% 60, minutes %% 60)
}
