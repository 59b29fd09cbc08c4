# R's side of functions.py, in the R that runs inside Python: loads scripts and calls their functions. Requests and
# answers are raw vectors: R's own serialisation, of which serialization/ is the other end.
local(envir = new.env(parent = baseenv()), {

loaded <- NULL   # the environment of the script that was loaded last

# between the scripts and the global environment
shield <- new.env(parent = globalenv())
shield$q <- shield$quit <- function(...) stop("quit() would end Python, in whose process this R runs", call. = FALSE)

# The user's part of a call stack, innermost last: what lies between the frames and the handlers of this file.
user_calls <- function(calls) {
  text <- vapply(calls, function(call) paste(deparse(call, nlines = 2L), collapse = " "), "")
  from <- which(startsWith(text, "eval(call, space)") | startsWith(text, "eval(expression, space)"))
  if (length(from)) text <- text[-seq_len(from[1] + 1L)]   # eval() has two frames
  handlers <- c("h(simpleError", ".handleSimpleError", "(function (e)", "user_calls(", "tryCatch(user_calls",
                "tryCatchList(", "tryCatchOne(", "doTryCatch(")
  for (handler in handlers) text <- text[!startsWith(text, handler)]
  rev(rev(text)[seq_len(min(length(text), 30L))])
}

# work: a function of what was asked for. The answer is a list: value; or error, call and traceback; or interrupted; and
# warnings, if there were any and R does not print them itself.
answering <- function(work, prints_warnings = FALSE) function(request) {
  trace <- warned <- character()
  said <- tryCatch(withCallingHandlers(list(value = work(unserialize(request))),
    warning = function(w) {
      # it becomes an error
      if (prints_warnings || getOption("warn") >= 2L || is.null(muffle <- findRestart("muffleWarning", w))) return()
      warned <<- unique(c(warned, paste(conditionMessage(w), collapse = "\n")))
      invokeRestart(muffle)
    },
    error = function(e) trace <<- tryCatch(user_calls(sys.calls()), error = function(e) character())),
    error = function(e) list(error = paste(conditionMessage(e), collapse = "\n"),
      call = if (is.null(conditionCall(e))) "" else paste(deparse(conditionCall(e), nlines = 3L), collapse = " "),
      traceback = paste(trace, collapse = "\n")),
    interrupt = function(i) list(interrupted = TRUE))
  if (length(warned)) said$warnings <- warned
  serialize(said, NULL, xdr = FALSE, version = 2L)
}

# Runs a script in an environment of its own.
load <- function(given) {
  expressions <- tryCatch(parse(given$script, keep.source = FALSE, encoding = "UTF-8"),
                          error = function(e) conditionMessage(e))
  if (is.character(expressions)) return(list(unparsable = expressions))
  around <- new.env(parent = shield)
  space <- new.env(parent = around)
  # what a script sources goes where the script's own objects are, not into the global environment
  around$source <- function(file, local = space, ...) {
    base::source(file, if (isTRUE(local)) parent.frame() else local, ...)
  }
  old <- setwd(dirname(given$script))
  on.exit(setwd(old))
  for (expression in expressions) eval(expression, space)
  loaded <<- space
  defined <- ls(space)
  list(found = exists(given[["function"]], envir = space, mode = "function"),
    functions = as.list(defined[vapply(defined, function(n) is.function(get(n, space)), NA)]))
}

# Of the script that was loaded last: a function of a list of arguments.
callable <- function(name) {
  space <- loaded
  name <- as.name(name)
  answering(function(arguments) {
    call <- as.call(c(name, arguments))
    eval(call, space)
  })
}

# Lets the worker run one replication again, in this R. A simulation has the global environment to itself: what is there
# is put aside meanwhile, and so are options, the generator and what is attached.
replay <- function(root) {
  code <- file.path(root, "input", "code")
  worker <- new.env(parent = baseenv())
  for (file in list.files(file.path(code, "simferry_worker"), "[.]R$", full.names = TRUE))
    for (expression in parse(file, keep.source = FALSE, encoding = "UTF-8")) eval(expression, worker)
  global <- globalenv()
  empty <- function() rm(list = ls(global, all.names = TRUE), envir = global)
  generator <- RNGkind()
  held <- as.list(global, all.names = TRUE)
  attached <- search()
  old <- options()
  folder <- setwd(code)
  here <- if (isNamespaceLoaded("here")) getNamespace("here")$.root_env
  root_of_here <- here$root
  variables <- Sys.getenv()
  Sys.setenv(SIMFERRY_INPUT = file.path(root, "input"))
  on.exit({
    setwd(folder)
    if (!is.null(here)) here$root <- root_of_here
    Sys.unsetenv(setdiff(names(Sys.getenv()), names(variables)))
    do.call(Sys.setenv, as.list(variables))
    options(old)
    for (name in setdiff(search(), attached)) detach(name, character.only = TRUE)
    suppressWarnings(do.call(RNGkind, as.list(generator)))
    empty()
    list2env(held, global)
  })
  empty()
  attach(shield, name = "simferry:shield", warn.conflicts = FALSE)
  options(warn = 1L)
  worker$replay(root)
  NULL
}

list(load = answering(load), callable = callable, replay = answering(replay, prints_warnings = TRUE))
})
