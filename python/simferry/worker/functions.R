# Simulations that are functions.

jit <- compiler::enableJIT(-1L)   # how much R compiles: as the user has it

load_simulation <- function(job) {
  compiler::enableJIT(jit)
  space <- globalenv()
  if (nzchar(job$objects)) {
    objects <- readRDS(file.path(job$code, job$objects))
    list2env(objects$globals, envir = space)
    if (any(grepl("^[.]__[CT]__", names(objects$globals)))) methods::cacheMetaData(space, TRUE)   # S4 of the session
    options(objects$options)
    for (package in objects$loaded) loadNamespace(package)   # methods for what is sent
    for (package in objects$packages) library(package, character.only = TRUE)
    assign(job[["function"]], objects[["function"]], envir = space)
    job$constants <- objects$constants
    job$by_name <- objects$by_name
    job$sent <- objects[c("function", "globals")]
    # of foreach: the function is given the iteration's number, and may return anything
    job$loop <- isTRUE(objects$loop)
  } else for (expression in parse(file.path(job$code, job$script), keep.source = FALSE, encoding = "UTF-8"))
    eval(expression, space)
  job
}

# Loads the simulation, for the processes that are forked then; on$load_here(job) does in each of them what could not be
# done before. That is all of it where the script opens a socket while it is loaded, to workers of a cluster say: forks
# that share it would read each other's answers. At the first socket loading ends, what it has made is removed, and each
# process loads the script itself.
load_for_forks <- function(job) {
  space <- globalenv()
  before <- list(names = ls(space, all.names = TRUE), folder = getwd())
  loading <- Sys.getpid()
  put_before(c("socketConnection", "serverSocket"), bquote(.(function()
    if (identical(loading, Sys.getpid())) invokeRestart("simferry_load_in_each_process"))()))
  load <- function() {
    on.exit(.Internal(enableJIT(0L)))   # compiling functions of the worker that run once takes longer than they do
    loaded <- job$streams$load(function() tryCatch(load_simulation(job),
                                                   error = function(e) give_up(job, "load: ", conditionMessage(e))))
    loaded$jit <- .Internal(enableJIT(-1L))
    loaded
  }
  loaded <- withRestarts(load(), simferry_load_in_each_process = function() NULL)
  loading <- NULL
  if (!is.null(loaded)) {
    loaded$load_here <- identity
    return(loaded)
  }
  rm(list = setdiff(ls(space, all.names = TRUE), before$names), envir = space)
  setwd(before$folder)
  job$load_here <- function(job) {
    loaded <- load()
    job[names(loaded)] <- loaded
    job$included <- included_files(job)
    job
  }
  job
}

# The call of one condition: simulate(n = 20, effect = 0.5); in a loop that of an iteration, whose number is put in
condition_call <- function(job, row) {
  if (job$loop) as.call(list(as.name(job[["function"]]), 0L))
  else as.call(c(as.name(job[["function"]]), parameters_of(job, row), job$constants))
}

# The parameters of a condition. One that stands for objects is a name of one of them.
parameters_of <- function(job, row) {
  given <- lapply(job$parameters, .subset2, row)
  if (length(job$by_name)) for (name in intersect(names(given), names(job$by_name)))
    given[name] <- list(if (!is.na(given[[name]])) job$by_name[[name]][[given[[name]]]])
  given
}

# The user's part of a call stack, innermost last: what lies between the worker's own frames and its handlers.
user_calls <- function(calls) {
  text <- vapply(calls, function(call) paste(deparse(call, nlines = 2L), collapse = " "), "")
  from <- which(startsWith(text, "run_batch(process)") | startsWith(text, "eval(call, space)"))
  if (length(from)) text <- text[-seq_len(max(from))]
  if (identical(text[1L], "NULL")) text <- text[-1L]   # compiled code evaluates without a call
  ours <- grep("user_calls(sys.calls())", text, fixed = TRUE)   # the handler, and what it calls
  if (length(ours)) text <- text[seq_len(min(ours) - 1L)]
  rev(rev(text)[seq_len(min(length(text), 30L))])
}
