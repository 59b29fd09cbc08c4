# Another process with this package, as a user has it at a terminal; `lines` run in it.
session_of <- function(lines, folder) {
  script <- tempfile(fileext = ".R")
  writeLines(c(sprintf(".libPaths(%s)", paste(deparse(.libPaths()), collapse = "")), sprintf("setwd(%s)", deparse(folder)), "library(simferry)", lines), script)
  script
}

test_that("Ctrl-C leaves a run that can be resumed, and says how", {
  needs_python()
  skip_on_os("windows")
  folder <- tempfile()
  dir.create(folder)
  script <- session_of(c(
    "f <- function(n) { Sys.sleep(0.05); rnorm(1) }",
    "e <- tryCatch(sim_run(f, data.frame(n = 1), 2000, seed = 1, store = 'store'), error = identity)",
    "writeLines(c(class(e)[1], conditionMessage(e), sim_list('store')$state), 'told')"), folder)
  system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(sprintf("cat(Sys.getpid(), file = '%s/pid'); source('%s')", folder, script))),
          wait = FALSE, stdout = FALSE, stderr = FALSE)
  blocks <- function() list.files(file.path(list.files(file.path(folder, "store"), full.names = TRUE), "blocks"))
  wait <- function(until) for (i in 1:600) if (until()) break else Sys.sleep(0.1)
  wait(function() length(blocks()) > 0)
  tools::pskill(as.integer(readLines(file.path(folder, "pid"), warn = FALSE)), tools::SIGINT)
  wait(function() file.exists(file.path(folder, "told")))
  told <- readLines(file.path(folder, "told"))
  expect_equal(told[1], "simferry_error_interrupted")
  expect_match(told[2], "^stopped; [0-9]+ of 2,000 replications of run .* are kept")
  expect_match(told[3], "sim_resume(", fixed = TRUE)
  expect_equal(told[4], "incomplete")
})

test_that("progress is shown in RStudio's jobs pane where there is one", {
  skip_if_not_installed("rstudioapi")
  called <- character()
  note <- function(name, value = NULL) function(...) { called <<- c(called, name); value }
  pane <- list(jobAdd = note("add", "job"), jobSetProgress = note("progress"), jobSetState = note("state"), jobRemove = note("remove"))
  with_mocks(list(has_jobs_pane = function() TRUE), with_mocks(pane, package = "rstudioapi", {
    progress <- progress_of(list(id = "power-1"))
    progress$update(list(total = 10, done = 2, failed = 0, state = "running"))
    progress$update(list(total = 10, done = 10, failed = 1, state = "complete"))
    progress$end()
    progress$end()
  }))
  expect_equal(called, c("add", "progress", "progress", "state", "remove"))
})
