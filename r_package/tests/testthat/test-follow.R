test_that("Ctrl-C leaves a run that can be resumed, and says how", {
  needs_python()
  skip_on_os("windows")
  folder <- tempfile()
  dir.create(folder)
  script <- session_of(c(
    "f <- function(n) { Sys.sleep(0.05); rnorm(1) }",
    "e <- tryCatch(sim_run(f, data.frame(n = 1), 2000, seed = 1, store = 'store'), error = identity)",
    "writeLines(c(class(e)[1], conditionMessage(e), sim_list('store')$state), 'told')"), folder)
  system2(file.path(R.home("bin"), "Rscript"),
          c("-e", shQuote(sprintf("cat(Sys.getpid(), file = '%s/pid'); source('%s')", folder, script))),
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

test_that("at whatever moment Ctrl-C comes, R says that it was stopped and goes on working", {
  needs_python()
  skip_on_os("windows")
  folder <- tempfile()
  dir.create(folder)
  script <- session_of(c(
    "run <- suppressMessages(sim_run(function(n) data.frame(x = rnorm(20000)), data.frame(n = 1:4), 5,",
    "                                seed = 1, store = 'store'))",
    "work <- function() repeat {",
    "  sim_results(run); sim_grid(n = 1:3); sim_summary(run)",
    "  suppressMessages(sim_run(rnorm, data.frame(n = 1), 2, store = 'store'))",
    "}",
    "stopped <- function(e) paste(class(e), collapse = ' ')",
    "said <- character()",
    "suspendInterrupts({",
    "  cat(Sys.getpid(), file = 'pid')",
    "  for (k in 1:20) {",
    "    said <- c(said, tryCatch(allowInterrupts({ file.create(paste0('ready-', k)); work() }),",
    "                             interrupt = stopped, error = stopped))",
    "    while (!file.exists(paste0('sent-', k))) Sys.sleep(0.01)",
    "  }",
    "})",
    "writeLines(c(said, nrow(sim_results(run)), sim_status(run)$state), 'told')"), folder)
  system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(sprintf("source('%s')", script))), wait = FALSE,
          stdout = FALSE, stderr = FALSE)
  file <- function(...) file.path(folder, paste0(...))
  wait <- function(until) for (i in 1:600) if (until()) break else Sys.sleep(0.1)
  set.seed(NULL)
  for (k in 1:20) {
    wait(function() file.exists(file("ready-", k)))
    Sys.sleep(stats::runif(1, 0, 0.5))
    tools::pskill(as.integer(readLines(file("pid"), warn = FALSE)), tools::SIGINT)
    file.create(file("sent-", k))
  }
  wait(function() file.exists(file("told")))
  Sys.sleep(0.2)
  told <- readLines(file("told"))
  expect_length(told, 22)
  expect_true(all(told[1:20] %in% c("interrupt condition",
                                    "simferry_error_interrupted simferry_error error condition")), info = unique(told))
  expect_equal(told[21:22], c("400000", "complete"))
})

test_that("progress is shown in RStudio's jobs pane where there is one", {
  skip_if_not_installed("rstudioapi")
  called <- character()
  note <- function(name, value = NULL) function(...) {
    called <<- c(called, name)
    value
  }
  pane <- list(jobAdd = note("add", "job"), jobSetProgress = note("progress"), jobSetState = note("state"),
               jobRemove = note("remove"))
  with_mocks(list(has_jobs_pane = function() TRUE), with_mocks(pane, package = "rstudioapi", {
    progress <- progress_of(list(id = "power-1"))
    progress$update(list(total = 10, done = 2, failed = 0, state = "running", said = ""))
    progress$update(list(total = 10, done = 10, failed = 1, state = "complete", said = "2 succeeded, $0.10 so far"))
    progress$end()
    progress$end()
  }))
  expect_equal(called, c("add", "progress", "progress", "state", "remove"))
})
