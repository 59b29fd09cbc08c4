# Skips with the reason where there is no Python that can be used; fails instead where SIMFERRY_REQUIRE names python.
needs_python <- function() {
  problem <- tryCatch({
    python()
    NULL
  }, simferry_error = conditionMessage)
  if (!is.null(problem)) lacking("python", problem)
}

lacking <- function(part, problem) {
  if (grepl(part, Sys.getenv("SIMFERRY_REQUIRE"))) stop("SIMFERRY_REQUIRE names ", part, ": ", problem)
  else testthat::skip(problem)
}

# A run in a store of its own, without messages.
quiet_run <- function(simulation, ..., store = tempfile("store-")) {
  suppressMessages(sim_run(simulation, ..., store = store))
}

# The class and the text of the error that an expression ends in.
error_of <- function(expression) {
  e <- tryCatch({
    expression
    NULL
  }, simferry_error = identity)
  if (is.null(e)) stop("it went well")
  e
}

draws <- function(n, effect = 0) {
  x <- rnorm(n, effect)
  c(mean = mean(x), u = runif(1))
}
environment(draws) <- globalenv()

# With variables of the global environment, as at the console.
at_console <- function(objects, code) {
  list2env(objects, globalenv())
  on.exit(rm(list = names(objects), envir = globalenv()))
  force(code)
}

# With other functions in the place of a package's own.
with_mocks <- function(mocks, code, package = "simferry") {
  space <- asNamespace(package)
  put <- function(name, value) {
    unlockBinding(name, space)
    assign(name, value, space)
    lockBinding(name, space)
  }
  before <- mget(names(mocks), space)
  on.exit(Map(put, names(before), before))
  Map(put, names(mocks), mocks)
  force(code)
}

typed <- function(text) eval(parse(text = text, keep.source = FALSE), globalenv())

# Loops with a registration of their own, and foreach's sequential one back afterwards.
with_loops <- function(code, ..., workers = 2, seed = 1, store = tempfile("store-")) {
  needs_python()
  testthat::skip_if_not_installed("foreach")
  registerDoSimferry(workers = workers, seed = seed, store = store, ...)
  on.exit(foreach::registerDoSEQ())
  force(code)
}

# Another process with this package, as a user has it at a terminal; `lines` run in it.
session_of <- function(lines, folder) {
  script <- tempfile(fileext = ".R")
  writeLines(c(sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")),
               sprintf("setwd(%s)", deparse(folder)), "library(simferry)", lines), script)
  script
}
