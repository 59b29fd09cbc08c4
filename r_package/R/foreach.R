#' Run foreach loops with simferry
#'
#' After `registerDoSimferry()`, each `%dopar%` loop of the foreach package is computed as a run: its iterations are the
#' replications of one condition, in chunks, each on a random-number stream of its own. The numbers depend on the seed,
#' on the loop's name (or its number since the registration) and on the iteration alone: they are the same for any
#' number of workers, without doRNG. The run of a loop with a name, and of a loop that failed, stays in the store, for
#' [sim_list()], [sim_errors()] and [sim_logs()]. Other loops leave nothing there.
#'
#' Everything that `foreach()` offers works as it does sequentially: `.combine`, `.init`, `.final`, `.inorder`,
#' `.multicombine`, `.maxcombine`, `.packages`, `.export`, `.noexport`, `.errorhandling`, loops nested with `%:%`,
#' `when()`, iterators of any kind. Each iteration is evaluated in its own environment, and does not see the variables
#' of others. The variables that the loop's body uses are exported; unlike with other backends, also those of the
#' functions around the loop, and of the global environment where the loop is in a function. The attached packages that
#' it uses are attached in the workers. Warnings are repeated at the console; the output of iterations is in the run's
#' log.
#'
#' Iterations have their own working directory, without the session's files. Read files before the loop, or use absolute
#' paths (see `normalizePath()`), also for files that you want to keep.
#'
#' Options of one loop are given with `foreach(..., .options.simferry = list(...))`:
#' * `name`: `[character(1)]` the loop's name. A loop that was interrupted, or had a failed iteration, continues where
#' it stopped when it is run again with the same name, code and data.
#' * `chunk_size`: `[numeric(1)]` how many iterations a worker takes at a time. By default many at first, and fewer
#' towards the end.
#' * `backend`: where this loop runs, see `backend`.
#'
#' @param workers `[numeric(1)]` number of cores to use. `NULL`: all.
#' @param seed `[numeric(1)]` an integer from 0 to 2^31 - 1. The same script gives the same numbers when it is run
#'   again, and two loops under one registration get different ones. `NULL`: each loop draws its seed from R's own
#'   generator, so that `set.seed()` before a loop makes it reproducible.
#' @param backend where loops run: [sim_local()], [sim_docker()], [sim_sagemaker()], [sim_batch()], or a backend's name.
#'   A loop that is interrupted stops its jobs, wherever they are.
#' @param store `[character(1)]` the folder in which runs live, or an address such as `"s3://bucket/folder"`. `NULL`:
#'   `SIMFERRY_STORE`, or `./simferry-runs`; for SageMaker and AWS Batch that of [sim_run()].
#' @return `NULL`, invisibly. `foreach::getDoParWorkers()` then tells how many workers there are.
#' @section Errors:
#' Of the registration: `simferry_error_usage` for an invalid seed, backend or number of workers. Of a loop:
#' what foreach itself raises where an iteration fails (`task 3 failed - "..."`); `simferry_error_simulation`: the loop
#' uses an object that can't be sent (the error names it), or a package that is not installed;
#' `simferry_error_interrupted`: the loop was stopped; `simferry_error_worker`, `simferry_error_store`: it can't
#' continue.
#' @examplesIf simferry:::python_is_there() && requireNamespace("foreach", quietly = TRUE)
#' library(foreach)
#' registerDoSimferry(workers = 2, seed = 1, store = tempfile())
#' foreach(i = 1:4, .combine = rbind) %dopar% {
#'   x <- rnorm(20)
#'   c(mean = mean(x), var = var(x))
#' }
#' registerDoSEQ()
#' @export
registerDoSimferry <- function(workers = NULL, seed = NULL, backend = "local", store = NULL) { # nolint: object_name.
  if (!requireNamespace("foreach", quietly = TRUE))
    raise("usage", "the R package foreach is not installed", "install.packages(\"foreach\")")
  settings <- new.env(parent = emptyenv())
  settings$backend <- loop_backend(backend, workers)
  settings$seed <- seed
  settings$store <- store
  settings$loops <- 0
  settings$workers <- bridge("loop_backend", backend = settings$backend, seed = seed, store = store)$workers
  foreach::setDoPar(do_simferry, settings, function(data, item)
    switch(item, workers = data$workers, name = "doSimferry",
           version = utils::packageDescription("simferry", fields = "Version")))
  invisible()
}

loop_backend <- function(backend, workers) {
  backend <- if (is.list(backend)) unclass(backend) else list(name = backend)
  if (!is.null(workers)) backend$workers <- workers
  backend
}

# What %dopar% calls. obj: what foreach() made; expr: the body; envir: where the loop stands; data: the registration.
do_simferry <- function(obj, expr, envir, data) {
  options <- loop_options(obj$options$simferry)
  data$loops <- data$loops + 1
  iterator <- iterators::iter(obj)
  columns <- iterations_of(iterator)
  count <- attr(columns, "count")
  results <- list()
  if (count > 0) {
    sent <- write_loop(obj, expr, envir, columns, options$name, data$loops)
    results <- compute_loop(sent, count, options, data, stops = obj$errorHandling == "stop",
                            verbose = isTRUE(obj$verbose))
  }
  failed <- Filter(function(value) inherits(value, "simpleError"), results[which_failed(results)])
  if (length(failed)) hint_to_send(unlist(lapply(failed, conditionMessage)), list(envir), ".export")
  combine_loop(obj, iterator, results, expr)
}

loop_options <- function(options) {
  known <- c("name", "chunk_size", "backend")
  unknown <- setdiff(names(options), known)
  if (length(unknown) || length(options) && is.null(names(options)))
    raise("usage", paste0(".options.simferry: there is no option ", c(unknown, "without a name")[1]),
          paste0("There are: ", paste(known, collapse = ", "), "."))
  name <- options$name
  if (!is.null(name) && !(is.character(name) && length(name) == 1L && !is.na(name) && nzchar(name)))
    raise("usage", ".options.simferry: name is not a text", "list(name = \"first loop\")")
  size <- options$chunk_size
  if (!is.null(size) &&
      !(is.numeric(size) && length(size) == 1L && isTRUE(size >= 1 && size < 2^31 && size == round(size))))
    raise("usage",
          paste0(".options.simferry: chunk_size is ", paste(format(size), collapse = " "),
                 "; it has to be a whole number from 1"))
  options
}

# ---- what the iterations are given ----

# A vector or list for each variable of the loop, with its values in all iterations; how many these are is an attribute.
iterations_of <- function(iterator) {
  columns <- plain_iterations(iterator)
  if (!is.null(columns)) return(columns)
  given <- as.list(iterator)
  names <- if (length(given)) unique(names(given[[1L]]))
  columns <- lapply(stats::setNames(names, names), function(name) compact(lapply(given, `[[`, name)))
  structure(columns, count = length(given))
}

# Loops over plain vectors, of which it is known what their iterators would give: 40 microseconds an iteration are
# saved.
plain_iterations <- function(iterator) {
  if (!identical(class(iterator), c("iforeach", "iter")) || !all(vapply(iterator$iargs, is_untouched, NA))) return(NULL)
  count <- min(vapply(iterator$iargs, function(it) it$length, 1))
  columns <- lapply(iterator$iargs, function(it) it$state$obj)
  names(columns) <- iterator$argnames
  structure(columns[nzchar(iterator$argnames)], count = count)
}

is_untouched <- function(it) {
  identical(class(it), c("containeriter", "iter")) && identical(it$state$i, 0L) && !it$recycle &&
    identical(body(it$checkFunc), TRUE) &&
    is.vector(it$state$obj) && !is.object(it$state$obj) && it$length == length(it$state$obj)
}

# Single numbers or texts of one type as a vector.
compact <- function(values) {
  single <- function(v) is.atomic(v) && length(v) == 1L && is.null(attributes(v))
  if (all(vapply(values, single, NA)) && length(unique(vapply(values, typeof, ""))) == 1L) unlist(values) else values
}

# ---- what is sent ----

# As write_function does for a function: a file for the worker, and what Python has to know of it.
write_loop <- function(obj, expr, envir, columns, name, number) {
  if (is.language(expr)) expr <- utils::removeSource(expr)
  found <- loop_objects(obj, expr, envir, columns)
  packages <- unique(c(as.character(obj$packages), found$packages))
  missing <- packages[!nzchar(vapply(packages, function(p) system.file(package = p), ""))]
  if (length(missing))
    raise("simulation", paste0(".packages: ", missing[1], " is not installed"),
          paste0("install.packages(\"", missing[1], "\")"))
  for (object in found$data) check_sendable(object$value, object$label, max_mb())
  for (variable in names(columns)) if (is.list(columns[[variable]])) check_sendable(columns[[variable]], variable, Inf)
  attr(columns, "count") <- NULL
  file <- tempfile("simferry-", fileext = ".rds")
  exports <- environment(found$`function`)
  compiled <- compiler::compile(expr, exports, list(suppressAll = TRUE))
  loaded <- packages_of_classes(list(lapply(found$data, `[[`, "value"), columns))
  saveRDS(list(`function` = iteration_function(compiled, columns, exports), globals = found$globals,
               packages = packages, constants = list(), options = found$options, loaded = loaded, loop = TRUE),
          file, compress = FALSE)
  used <- unique(c(packages, loaded))
  called <- if (is.null(name)) paste("loop", number) else paste("loop", name)
  list(name = called, file = file,
       fingerprint = loop_fingerprint(called, found, packages, columns, !is.null(name)),
       constants = character(), packages = packages, environment = session_facts(used),
       own = if (!is.null(name)) own_of_loop(used, found))
}

# It is called with the iteration's number, and runs without this package: base R is all that it sees.
iteration_function <- function(expr, columns, exports) {
  iteration <- function(...) {   # the worker's check looks for an argument for each column of the design
    number <- ..1
    here <- new.env(FALSE, exports, 8L)
    for (name in names) here[[name]] <- columns[[name]][[number]]
    eval(expr, here)
  }
  home <- list2env(list(expr = expr, columns = columns, names = names(columns), exports = exports), parent = baseenv())
  as.function(c(formals(iteration), body(utils::removeSource(iteration))), envir = home)
}

# The body as a function, with what it refers to, found where the loop stands and outwards: what the code uses, and what
# it may use in a way that is not seen, as in a quoted expression.
loop_objects <- function(obj, expr, envir, columns) {
  unknown <- Filter(function(variable) !exists(variable, envir), unique(obj$export))
  if (length(unknown)) raise("usage", paste0(".export: there is no variable ", unknown[1]))
  body <- as.function(list(expr), envir = envir)
  perhaps <- Filter(function(variable) {
    where <- where_is(variable, envir)
    !is.null(where) && is_of_session(where) && first_use(expr, variable) != "set"
  }, setdiff(all.names(expr, unique = TRUE), c("", "...", obj$argnames)))
  variables <- sort(union(setdiff(variables_of(body), obj$argnames), perhaps))
  named <- Filter(function(variable) variable %in% variables || is_sendable(variable, envir), unique(obj$export))
  collect(body, "the loop's body", variables, named = named, never = obj$noexport,
          carried = Filter(is.list, columns))
}

# Of what is exported and not used, as with .export = ls(), what can't be sent stays here.
is_sendable <- function(variable, envir) {
  tryCatch({
    value <- get(variable, envir)
    if (!is.function(value)) check_sendable(value, variable, max_mb())
    TRUE
  }, simferry_error = function(e) {
    message(".export: ", variable, " is not sent, and the code does not show that it is used: ",
            strsplit(conditionMessage(e), "\n", fixed = TRUE)[[1L]][1L])
    FALSE
  })
}

# Of a loop without a name it need not say more than that it is another one than all before.
loop_fingerprint <- function(called, found, packages, columns, named) {
  if (!named)
    return(paste(called, format(Sys.time(), "%Y-%m-%d %H:%M:%OS6"), Sys.getpid(), code_of(found$`function`),
                 sep = "\n"))
  paste(called, fingerprint(found, packages, columns), sep = "\n")
}

# The user's own packages and files that a loop uses besides what is sent: as the worker's check finds them out for
# functions.
own_of_loop <- function(packages, found) {
  worker <- new.env(parent = baseenv())
  sys.source(bridge("worker_file", name = "own.R"), worker)
  job <- list(root = R.home(), code = R.home(), folder = "", loaded_from = "")   # there is no snapshot of files
  mentioned <- worker$own_code_mentioned(job, worker$code_of_objects(found))
  as.list(worker$own_code(job, unique(c(packages, mentioned$packages)), mentioned$files))
}

# As worker.R records them: what is here is what a worker on this machine has.
session_facts <- function(packages) {
  cpu <- tryCatch(grep("^model name", readLines("/proc/cpuinfo", n = 30L), value = TRUE)[1], error = function(e) NA,
                  warning = function(w) NA)
  packages <- sort(packages)
  c(interpreter = paste("R", getRversion()),
    packages = paste(packages, vapply(packages, function(p) as.character(utils::packageVersion(p)), ""),
                     collapse = ", "),
    blas = basename(extSoftVersion()[["BLAS"]]), cpu = if (is.na(cpu)) R.version$arch else sub("^[^:]*: *", "", cpu))
}

# ---- running it ----

# What each iteration returned; an error is one's value where it failed.
compute_loop <- function(sent, count, options, data, stops, verbose) {
  on.exit(unlink(sent$file, expand = FALSE))
  seed <- data$seed
  drawn <- is.null(seed)
  label <- if (!is.null(options$name)) options$name else if (drawn) 0 else data$loops
  backend <- if (is.null(options$backend)) data$backend
    else loop_backend(options$backend, if (identical(data$backend$name, "local")) data$backend$workers)
  if (drawn) seed <- floor(stats::runif(1) * 2^31)
  named <- !is.null(options$name)
  suspendInterrupts({
    made <- bridge("loop", simulation = sent, label = label, replications = count, seed = seed, drawn = drawn,
                   named = named,
                   store = data$store, backend = backend, chunk_size = options$chunk_size, on_error = if (stops) "stop"
                     else "continue")
    run <- new_run(made)
    if (verbose) message("run ", run$id, ": ", counted(count, "iteration"), ", seed ", run$seed)
    if (!made$complete) wait_for(run, function(run) stop_loop(run, named))
  })
  values <- loop_values(run, count)
  # nothing finds a loop without a name again; one that went wrong is there to be looked at
  if (!named && !attr(values, "failed")) suspendInterrupts(ask("remove", run))
  values
}

stop_loop <- function(run, named) {
  now <- cancel(run)
  raise("interrupted",
        paste0("stopped; ", number(now$done), " of ", counted(now$total, "iteration"), " ", are(now$total),
               " kept in run ", run$id),
        if (named) "The same loop, run again, goes on where it stopped."
        else "A loop with a name goes on where it stopped: .options.simferry = list(name = ...)")
}

# Read from the run's blocks, some at a time. What was tried again counts where it succeeded.
loop_values <- function(run, count) {
  values <- vector("list", count)
  there <- ok <- logical(count)
  warned <- list()
  after <- ""
  repeat {
    page <- bridge("loop_values", run = run$folder, after = after)
    succeeded <- page$done[page$ok]
    # a crash of the process has left a message alone, and no value
    crashed <- setdiff(page$failed, page$iteration)
    for (i in crashed[!ok[crashed]]) values[[i]] <- simpleError(page$messages[match(i, page$failed)])
    con <- rawConnection(page$bytes)
    for (i in page$iteration) {
      value <- unserialize(con)
      if (!ok[i]) values[i] <- list(value)
    }
    close(con)
    values[page$packed] <- unlist(lapply(page$packs, unserialize), recursive = FALSE)   # all have succeeded
    ok[succeeded] <- TRUE
    there[page$done] <- TRUE
    warned <- c(warned, list(page[c("warned", "warnings", "counts")]))
    after <- page$after
    if (!nzchar(after)) break
  }
  every <- function(name) unlist(lapply(warned, `[[`, name))
  for (k in order(every("warned")))
    for (again in seq_len(min(every("counts")[k], 50))) warning(every("warnings")[k], call. = FALSE)
  # left: after an iteration has failed, where that stops the loop
  structure(values, left = which(!there), failed = !all(ok))
}

# ---- putting the results together ----

combine_loop <- function(obj, iterator, results, expr) {
  left <- attr(results, "left")
  failed <- which_failed(results)
  attributes(results) <- NULL
  if (obj$errorHandling == "stop" && length(failed))
    stop(simpleError(sprintf("task %d failed - \"%s\"", failed[1L], conditionMessage(results[[failed[1L]]])),
                     call = expr))
  if (length(left)) raise("worker", paste0("iteration ", left[1], " has no result"))
  if (identical(class(obj), "foreach")) return(combine_plain(obj, results, failed))
  add <- foreach::makeAccum(iterator)
  tryCatch(add(results, seq_along(results)), error = combine_failed)
  foreach::getResult(iterator)
}

which_failed <- function(results) {
  objects <- which(vapply(results, is.object, NA, USE.NAMES = FALSE))
  objects[vapply(results[objects], inherits, NA, "error", USE.NAMES = FALSE)]
}

combine_failed <- function(e) {
  cat("error calling combine function:\n")
  print(e)
}

# What foreach's own accumulator does, which takes 40 microseconds a result, and much more where .maxcombine is large:
# calls of the combining function with up to .maxcombine arguments, by names that rbind() makes row names of.
combine_plain <- function(obj, results, failed) {
  how <- obj$combineInfo
  if (how$has.init || obj$errorHandling != "pass" && length(failed) || is.null(made <- at_once(how$fun, results)))
    made <- combine_in_groups(obj, results, if (obj$errorHandling != "pass") failed)
  if (is.null(how$final)) made else how$final(made)
}

# What rbind(), cbind() and c() make of plain vectors of one type and length does not depend on the groups: all in one
# call. NULL where it might.
at_once <- function(fun, results) {
  if (length(results) < 2L || !(identical(fun, rbind) || identical(fun, cbind) || identical(fun, c))) return(NULL)
  first <- results[[1L]]
  types <- vapply(results, typeof, "", USE.NAMES = FALSE)
  if (!is.atomic(first) || !length(first) || any(types != types[1L]) || any(lengths(results) != length(first)) ||
      any(lengths(lapply(results, attributes)) > 0L)) return(NULL)
  if (!identical(fun, c)) names(results) <- paste0("result.", seq_along(results))
  do.call(fun, results)
}

combine_in_groups <- function(obj, results, without) {
  how <- obj$combineInfo
  home <- new.env(parent = emptyenv())
  home$fun <- how$fun
  home$accum <- if (how$has.init) eval(how$init, list(), obj$evalenv)
  first <- !how$has.init
  dropped <- seq_along(results) %in% without
  names <- paste0("result.", seq_along(results))
  at <- 0
  tryCatch(while (at < length(results)) {
    group <- at + seq_len(min(how$max.combine - !first, length(results) - at))
    at <- group[length(group)]
    group <- group[!dropped[group]]
    if (!length(group)) next
    list2env(stats::setNames(results[group], names[group]), home)
    call <- if (first && length(group) == 1L) as.name(names[group])
      else as.call(lapply(c("fun", if (!first) "accum", names[group]), as.name))
    home$accum <- eval(call, home)
    first <- FALSE
    rm(list = names[group], envir = home)
  }, error = combine_failed)
  home$accum
}
