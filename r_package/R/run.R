#' Run a simulation
#'
#' Runs a simulation `replications` times for each condition of a design, by default on all cores. Separate processes
#' compute the run. You can interrupt R (Ctrl-C, or RStudio's stop button): the run then saves its finished replications
#' and stops, and [sim_resume()] continues it. On SageMaker and AWS Batch an interrupt does not stop the jobs,
#' see [sim_sagemaker()].
#'
#' A function is called once per replication with the design's columns as arguments. It returns a number, a named
#' vector, a list of single values, or a data frame of one or more rows; any other object is saved as an .rds file.
#' Each replication has its own random-number stream, so do not call `set.seed()`. The objects that the function uses
#' are sent with it, and the packages whose functions it calls are attached; `pkg::name` works too.
#'
#' @param simulation a function, or `[character(1)]` the path of a script (.R, .py or .m) that defines the function
#'   `function_name`, of a whole script or program (with `args`), or of a sweep file (.toml). Other arguments override
#'   the settings of the sweep file. Or `"image:NAME"`, an image that is the program (`docker run NAME train`), with
#'   `backend = "docker"`: one job per condition and replication, the design's columns as its hyperparameters.
#' @param design a design made by [sim_grid()] or a related function, any data frame with a row per condition, or the
#'   path of a CSV or Parquet file. `NULL`: one condition without parameters.
#' @param replications `[numeric]` how many replications of each condition: one number, or one for each condition, in
#'   the order of the design. `sim_column("reps")`: the column of the design that holds them; it is no parameter.
#'   `NULL`: 1 of a whole script, a program or an image. A function needs a number.
#' @param seed `[numeric(1)]` an integer from 0 to 2^31 - 1. `NULL`: a seed is drawn, printed and recorded.
#' @param function_name `[character(1)]` the name of the function in the script.
#' @param args `[character(1)]` a template of command-line arguments, such as `"{n} {effect}"`. The whole script (or
#'   program) is run once per replication with these arguments. R scripts read them with `commandArgs(trailingOnly =
#'   TRUE)`; `{replication}`, `{seed}` and `{condition}` may be used as well.
#' @param include `[character]` paths, relative to the script, of files and folders that are copied with it.
#'   `"../R"` is there as `../R`, and as `R` beside the script.
#' @param project `[logical(1)]` copy the files of the project that the script is in: the nearest folder with .Rproj,
#'   .git, DESCRIPTION, renv.lock, pyproject.toml or .here, so that `source("../R/fit.R")` and `here::here()` work.
#'   Files that git ignores, environments, earlier runs and credentials stay here. Of the project only code that is
#'   loaded decides whether results of earlier runs are taken over: give data that may change as `include` or `inputs`.
#' @param large_project `[logical(1)]` agree to a project of more than 100 MB.
#' @param constants `[named list]` further arguments of the function, the same in every replication; they are sent once.
#' @param packages `[character]` names of packages to attach, in addition to those that the function is found to use.
#' @param globals `[character]` names of objects to send, in addition to those that the function is found to use: what
#'   is called by a name that only a variable holds, as in `do.call(method, list(x))`.
#' @param results_file `[character(1)]` name of the file that a whole script writes into its output folder. Its rows
#' become the results: CSV or another table with a header, JSON, .rds, .RData or numbers. Or a pattern with `*`, `?`
#'   and placeholders: `"results/out_{n}_{replication}.csv"`.
#' @param inputs `[named character]` files that the simulation reads: by name the path of a file or folder, or an
#'   address in S3, such as `c(data = "data.csv")`. The simulation finds each in the folder
#'   `file.path(Sys.getenv("SIMFERRY_INPUT"), "data")`, in containers /opt/ml/processing/input/data. Or a list, whose
#'   elements may be lists of `place`, `mode` (`"File"`, or `"Pipe"`: read once from a named pipe, on SageMaker only)
#'   and `sharded` (`TRUE`: each host gets its share of the files).
#' @param env `[named character]` or `[named list]` environment variables of each replication, by their names: texts
#'   with the placeholders of `args`, such as `c(SLURM_ARRAY_TASK_ID = "{condition}")`. They are restored after each
#'   replication, and stored in the run: names that look like credentials are refused.
#' @param metric `[named character]` of a whole script, a program or an image: by the name of an output a regular
#'   expression whose first group is its number in the log, such as `c(loss = "loss=([0-9.]+)")`. The last number is the
#'   output; all are in an artifact.
#' @param replications_as `[character(1)]` of an image: the hyperparameter that tells it how many replications to do in
#'   one job, with a row for each in its results file. `NULL`: each replication is a job.
#' @param seed_as `[character(1)]` of an image: the hyperparameter with the seed, which is in `SIMFERRY_SEED` anyway.
#' @param common `[character]` parameters (or `"all"`) that do not change the random numbers: conditions that differ
#'   only in these use the same random numbers.
#' @param store `[character(1)]` the folder in which runs live, or an address such as `"s3://bucket/folder"`. `NULL`:
#'   `SIMFERRY_STORE`, or `./simferry-runs`; for SageMaker and AWS Batch the store of the stack of
#'   [infra_deploy()], without one the folder simferry of the account's default bucket.
#' @param backend where it runs: [sim_local()], [sim_docker()], [sim_sagemaker()], [sim_batch()], or a backend's
#'   name.
#' @param workers `[numeric(1)]` number of cores to use. `NULL`: all.
#' @param cores `[numeric(1)]` number of cores that one replication uses. `NULL`: 1 for functions, all workers for
#'   scripts and programs.
#' @param on_error `"continue"`, or `"stop"` to end the run at the first failed replication.
#' @param replication_timeout `[numeric(1)]` time limit of a replication in seconds; a longer one is ended and recorded
#'   as failed. `NULL`: none.
#' @param retries `[numeric(1)]` how many times the replications of a lost job are tried again.
#' @param until what [sim_until()] makes, instead of `replications`: go on until the run is precise enough.
#' @param estimate,truth,se,interval,p_value,df,by,reference,alpha what the outputs are: see [sim_measures()], which
#'   then need not be told.
#' @param many_jobs `[logical(1)]` agree to more than 100 jobs of an image that cost money each, on SageMaker and AWS
#'   Batch. An interactive session asks.
#' @param study `[named list]` what [sim_report()] says of the study, texts by the names `title`, `aims`,
#'   `data_generating_mechanisms`, `estimands`, `methods`, `performance_measures`, `authors`.
#' @param keep_files `[logical(1)]` keep the files that a function writes into its working directory, see
#'   [sim_artifacts()]. Files of scripts and programs are always kept.
#' @param fresh `[logical(1)]` compute all replications, also those that an earlier run in the same store has.
#' @param name `[character(1)]` a name by which the run can be found; several runs may have the same. Of
#'   `sim_column()`: the name of a column of the design.
#' @param note `[character(1)]` a note on the run; [sim_note()] changes it.
#' @param detach `[logical(1)]` return at once. The run continues in the background, also after R has ended;
#'   [sim_watch()] follows it.
#' @return A run: an object of class `simferry_run`. `print()` shows its progress, `as.data.frame()` is
#'   [sim_results()], `summary()` is [sim_summary()], `plot()` draws means with their Monte Carlo standard errors.
#' @section Errors:
#' `simferry_error_simulation`: the script or function does not exist, can't be parsed or loaded, has other arguments
#' than the design has columns, or uses an object that can't be sent (the error names it). `simferry_error_design`,
#' `simferry_error_usage`: an argument is wrong. `simferry_error_many_jobs`: see `many_jobs`. These errors are raised
#' before anything starts.
#' `simferry_error_interrupted`: the run was stopped, and can be resumed. `simferry_error_worker`,
#' `simferry_error_store`: the run can't continue. In the cloud `simferry_error_credentials`: there are no credentials,
#' or they have expired; `simferry_error_aws`: AWS refused a request; `simferry_error_quota`: the account's quota is 0;
#' `simferry_error_budget`: the budget does not allow more. A replication that fails is no error: it is recorded, see
#' [sim_errors()].
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
                    include = NULL, constants = list(), packages = character(), globals = character(),
                    results_file = NULL, inputs = NULL, env = NULL, project = FALSE, large_project = FALSE,
                    metric = NULL, replications_as = NULL, seed_as = NULL,
                    until = NULL, estimate = NULL, truth = NULL, se = NULL, interval = NULL, p_value = NULL,
                    df = NULL, by = NULL, reference = NULL, alpha = NULL, study = NULL,
                    common = NULL, store = NULL, backend = NULL, workers = NULL, cores = NULL,
                    on_error = NULL, replication_timeout = NULL, retries = NULL, many_jobs = FALSE, keep_files = FALSE,
                    fresh = FALSE, name = NULL, note = NULL, detach = FALSE) {
  given <- simulation
  parent <- parent.frame()
  now <- NULL
  simulation <- as_simulation(simulation, substitute(simulation), constants, packages, globals, parent,
                              by_name(design))
  suspendInterrupts({   # what has begun is followed, and stopped in good order
    made <- agreed(many_jobs, function(many_jobs) bridge("run",
      simulation = simulation, design = as_columns(design), replications = replications, seed = seed,
      function_name = function_name, args = args, include = include, results_file = results_file, inputs = inputs,
      env = env, metric = metric, replications_as = replications_as, seed_as = seed_as,
      project = if (!isFALSE(project)) project, large_project = if (!isFALSE(large_project)) large_project,
      until = rule(until)$targets, least = until$least, most = until$most, estimate = estimate, truth = truth, se = se,
      interval = interval, p_value = p_value, df = df, by = by, reference = reference, alpha = alpha,
      study = study, common = common, store = store, backend = backend, workers = workers, cores = cores,
      on_error = on_error, replication_timeout = replication_timeout, retries = retries,
      many_jobs = if (!isFALSE(many_jobs)) many_jobs,
      keep_files = if (!isFALSE(keep_files)) keep_files, fresh = fresh, name = name, note = note
    ))
    run <- new_run(made)
    message("run ", run$id, ": ", counted(made$conditions, "condition"), " x ",
            if (nzchar(made$until)) "at least ", replications_shown(made$replications),
            if (nzchar(made$until)) paste(" until", made$until), ", seed ", made$seed, if (made$drawn) ", drawn")
    if (made$taken_over > 0)
      message(number(made$taken_over), " of ",
              counted(sum(rep_len(made$replications, made$conditions)), "replication"),
              if (made$taken_over == 1) " was" else " were", " computed by earlier runs and ", are(made$taken_over),
              " taken over (fresh = TRUE computes anew)")
    if (nzchar(made$note)) message(made$note)
    if (detach) message("It runs in the background: sim_watch(", quoted(run$handle), ")") else now <- follow(run)
    if (is.function(given) && isTRUE(now$failed > 0))
      hint_to_send(ask("said_by_failures", run), list(environment(given), parent), "globals")
  })
  invisible(run)
}

#' A run that goes on until it is precise enough
#'
#' For `until` of [sim_run()] and [sim_plan()]: the run looks at its results from time to time, and computes more
#' replications of each condition until its Monte Carlo standard errors are small enough.
#'
#' @param ... `[numeric(1)]` by the name of a measure ([sim_measures()]) or of an output (its mean) the Monte Carlo
#'   standard error that is small enough, such as `coverage = 0.005`. The furthest decides.
#' @param least,most `[numeric(1)]` the smallest and the largest number of replications of a condition. `NULL`: 50 and
#'   100,000.
#' @return A list of class `simferry_until`.
#' @examples
#' sim_until(coverage = 0.005, most = 1e4)
#' @export
sim_until <- function(..., least = NULL, most = NULL) {
  targets <- c(...)
  if (!is.numeric(targets) || is.null(names(targets)) || !all(nzchar(names(targets))))
    raise("usage", "sim_until() takes a number for each measure", "sim_until(coverage = 0.005)")
  targets <- stats::setNames(sprintf("%.17g", targets), names(targets))
  structure(list(targets = targets, least = least, most = most), class = "simferry_until")
}

rule <- function(until) {
  if (!is.null(until) && !inherits(until, "simferry_until"))
    raise("usage", "until takes what sim_until() makes", "until = sim_until(coverage = 0.005)")
  until
}

# Start a run; where its many jobs cost money, ask first.
agreed <- function(many_jobs, start, may_ask = interactive(), answer = says_yes) {
  if (!may_ask) return(start(many_jobs))
  tryCatch(start(many_jobs), simferry_error_many_jobs = function(e) {
    if (!answer(paste0(sub("\n.*", "", conditionMessage(e)), ". Start them?"))) stop(e)
    start(TRUE)
  })
}

#' @rdname sim_run
#' @export
sim_column <- function(name) structure(name, class = "simferry_column")

replications_shown <- function(n) {
  if (min(n) == max(n)) counted(n[1], "replication") else paste(number(min(n)), "to", counted(max(n), "replication"))
}

# A path stays one. A function is written down for the workers, under the name that the user called it by.
as_simulation <- function(simulation, expression, constants, packages, globals, caller, by_name) {
  if (!is.function(simulation)) {
    if (length(by_name))
      raise("usage",
            paste0("parameter ", names(by_name)[1], " is a list with names, whose values only a function can get"),
            paste0("Give a script the names, ", names(by_name)[1], " = c(\"", names(by_name[[1]])[1],
                   "\", ...), and let it choose by them."))
    if (length(constants) || length(packages) || length(globals))
      raise("usage", "constants, packages and globals go with a function",
            "A script can define its own objects, and call library().")
    return(simulation)
  }
  write_function(simulation, if (is.name(expression)) as.character(expression) else "simulation", constants, packages,
                 globals, caller, by_name)
}

#' Forecast what a run computes and how long it takes
#'
#' Takes the arguments of [sim_run()]. A pilot of a few replications (at most 20 seconds) measures how long they take.
#' Its results are kept: a run with the same seed does not compute them again. For SageMaker and AWS Batch the plan
#' gives time and cost of what is left to compute, by instance type and number of jobs; for AWS Batch by number of jobs
#' of the size that [sim_batch()] asks for, at the dearest price of its machines. The pilot then runs in the image of
#' the jobs, and is kept in the store, if Docker has that image on this machine. Else it runs with the R or Python of
#' this machine and is not kept.
#'
#' @inheritParams sim_run
#' @param pilot `[logical(1)]` `FALSE`: run nothing, and forecast no time.
#' @param deadline `[character(1)]` such as `"2h"` or `"90m"`, or `[numeric(1)]` seconds. In the cloud: find the
#'   cheapest way to finish in this time.
#' @param budget `[numeric(1)]` US dollars. In the cloud: find the fastest way that costs no more, on AWS Batch
#'   with all attempts of each job.
#' @param refresh_prices `[logical(1)]` request today's prices from AWS, and store them on this machine.
#' @return A list of class `simferry_forecast`: `conditions`, `replications`, `total`, `already_there` (replications
#'   that earlier runs have in the store), `workers`, `seed`, `code` (a data frame of `name` and `path`: the code that
#'   identifies the simulation, so that results of earlier runs can be reused: the function or script, included files,
#'   sourced files, and packages that were built here), and with a pilot `pilot_run`, `pilot_replications`,
#'   `seconds_per_replication`, `longest_replication` (in seconds), `core_seconds`, `seconds` (of wall time),
#'   `disk_bytes` (of what is left to compute), `slowest_condition`. In the cloud instead of `seconds` a list `cloud`:
#'   `rows`, a data frame with `instance_type` (or the size of a job, in words), `jobs`, `cores` (vCPUs of a job),
#'   `seconds`, `dollars` and `remark`, which is also what `as.data.frame()` gives;
#'   `cheapest` within the deadline and `fastest` within the budget, a row each, as a list; `notes`, `[character]`, what
#'   to know.
#' @section Errors: Those of [sim_run()].
#' @examplesIf simferry:::python_is_there()
#' draw <- function(n) mean(rnorm(n))
#' sim_plan(draw, sim_grid(n = c(10, 20)), replications = 1000, store = tempfile())
#' \dontrun{
#' sim_plan(draw, sim_grid(n = c(10, 20)), replications = 1e8, backend = "sagemaker", deadline = "2h")
#' sim_plan(draw, sim_grid(n = c(10, 20)), replications = 1e8, backend = sim_batch(vcpus = 4), budget = 20)
#' }
#' @export
sim_plan <- function(simulation, design = NULL, replications = NULL, seed = NULL, function_name = NULL, args = NULL,
                     include = NULL, constants = list(), packages = character(), globals = character(),
                     results_file = NULL, inputs = NULL, env = NULL, project = FALSE, large_project = FALSE,
                     metric = NULL, replications_as = NULL, seed_as = NULL,
                     until = NULL, estimate = NULL, truth = NULL, se = NULL, interval = NULL, p_value = NULL,
                     df = NULL, by = NULL, reference = NULL, alpha = NULL,
                     common = NULL, store = NULL, backend = NULL, workers = NULL, cores = NULL,
                     pilot = TRUE, deadline = NULL, budget = NULL, refresh_prices = FALSE) {
  simulation <- as_simulation(simulation, substitute(simulation), constants, packages, globals, parent.frame(),
                              by_name(design))
  structure(class = "simferry_forecast", bridge("plan",
    simulation = simulation, design = as_columns(design), replications = replications, seed = seed,
    function_name = function_name, args = args, include = include, results_file = results_file, inputs = inputs,
    env = env, metric = metric, replications_as = replications_as, seed_as = seed_as,
    project = if (!isFALSE(project)) project, large_project = if (!isFALSE(large_project)) large_project,
    until = rule(until)$targets, least = until$least, most = until$most, estimate = estimate, truth = truth, se = se,
    interval = interval, p_value = p_value, df = df, by = by, reference = reference, alpha = alpha,
    common = common, store = store, backend = backend, workers = workers, cores = cores, pilot = pilot,
    deadline = deadline, budget = budget, refresh_prices = if (refresh_prices) TRUE
  ))
}

#' @export
format.simferry_forecast <- function(x, ...) {
  size <- paste0(counted(x$conditions, "condition"), " x ", replications_shown(x$replications), " = ",
                 number(x$total))
  code <- c(paste("code:", x$code_shown), if (length(x$along_shown)) paste("along:", x$along_shown))
  if (!is.null(x$cloud)) return(c(size, code, format_cloud(x)))
  if (is.null(x$seconds)) return(c(size, code))
  slow <- x$slowest_condition
  slow$seconds <- NULL
  c(paste0(size, "; ", number(x$already_there), " already there"), code,
    sprintf("a replication takes %.3g s on average (a pilot of %s, kept in %s)", x$seconds_per_replication,
            number(x$pilot_replications), x$pilot_run),
    sprintf("all of it about %s on %s (%s of core time)", duration(x$seconds), counted(x$workers, "core"),
            duration(x$core_seconds)),
    sprintf("its results take about %s of disk", x$disk_shown),
    sprintf("slowest: %s: %.3g s a replication", paste(names(slow), slow, collapse = ", "),
            x$slowest_condition$seconds),
    sprintf("seed = %d  uses the pilot's replications", x$seed))
}

format_cloud <- function(x) {
  old <- options(width = 500L)   # a row is a line
  on.exit(options(old))
  rows <- x$cloud$rows
  if (length(rows)) {
    rows <- data.frame(rows$instance_type, rows$jobs, rows$cores, vapply(rows$seconds, duration, ""),
                       sprintf("$%.2f", rows$dollars), rows$remark)
    what <- if (any(grepl(",", rows[[1]]))) "job" else "instance type"
    names(rows) <- c(what, "jobs", "vCPUs each", "time", "cost", "")
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
