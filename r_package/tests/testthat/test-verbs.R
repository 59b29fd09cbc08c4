slow <- typed("function(n) { Sys.sleep(0.05); rnorm(1) }")

test_that("a run is resumed, extended, listed and opened", {
  needs_python()
  store <- tempfile()
  run <- quiet_run(draws, data.frame(n = 3), 5, seed = 1, store = store)
  expect_equal(nrow(sim_results(sim_extend(run, 8))), 8)
  expect_identical(sim_open("latest", store)$id, run$id)
  expect_identical(sim_open(run$folder), sim_open(substr(run$id, 1, 8), store))
  listed <- as.data.frame(sim_list(store))
  expect_equal(listed[c("run", "state", "done", "total", "failed")],
               data.frame(run = run$id, state = "complete", done = 8L, total = 8L, failed = 0L))
  expect_equal(nrow(sim_list(tempfile())), 0)
  expect_error(sim_extend(run, 2), "more than 2", class = "simferry_error_usage")
  expect_error(sim_extend(run, "more"), "whole number", class = "simferry_error_usage")
})

test_that("the status of a run says how far it is from its targets", {
  needs_python()
  f <- typed("function(spread) c(est = rnorm(1, sd = spread))")
  expect_message(run <- sim_run(f, sim_grid(spread = c(0.1, 50)), until = sim_until(est = 0.1, most = 100), seed = 1,
                                store = tempfile()), "before the target")
  now <- sim_status(run)
  far <- "1 of 2 conditions is precise enough; furthest is condition 2: the MCSE of est is [0-9.]+ times its target"
  expect_match(now$precision, far)
  expect_output(print(now), far)
  expect_output(print(run), paste0("2 conditions \\(spread\\) x 50 to 100 replications, seed 1.*", far))
  expect_null(sim_status(quiet_run(draws, data.frame(n = 3), 5, seed = 1))$precision)
})

test_that("failures and warnings are tables, and replayed", {
  needs_python()
  f <- typed("function(n) { if (n > 1) stop('too much: ', n); warning('careful'); n }")
  expect_message(run <- sim_run(f, data.frame(n = c(1, 2)), 3, seed = 1, store = tempfile()),
                 "3 of 6 replications failed")
  expect_equal(sim_errors(run)$message, rep("too much: 2", 3))
  expect_equal(sim_warnings(run)$message, rep("careful", 3))
  expect_output(said <- sim_replay(run, 2, 1), "too much: 2")
  expect_true(said$failed)
  expect_null(said$value)
  expect_output(said <- sim_replay(run, 1, 99), "1")   # beyond the last replication
  expect_identical(said[c("value", "failed")], list(value = 1, failed = FALSE))
  expect_error(sim_replay(run, 9, 1), "conditions 1 to 2", class = "simferry_error_usage")
})

test_that("a run in the background is watched and cancelled", {
  needs_python()
  run <- quiet_run(slow, data.frame(n = 1), 400, seed = 1, detach = TRUE)
  expect_equal(sim_status(run)$state, "running")
  expect_error(sim_resume(run), "being computed", class = "simferry_error_run_busy")
  Sys.sleep(2)
  expect_message(sim_cancel(run), "is stopped")
  now <- sim_status(run)
  expect_equal(now$state, "incomplete")
  expect_output(print(now), "sim_resume(", fixed = TRUE)
  sim_watch(run)
  expect_type(sim_logs(run), "character")
})

test_that("logs are followed until the jobs have ended", {
  needs_python()
  run <- quiet_run(typed("function(n) { Sys.sleep(0.1); cat('line of', n, '\\n'); n }"), data.frame(n = 7), 10,
                   seed = 1, workers = 1, detach = TRUE)
  for (i in 1:100) if (length(sim_status(run)$jobs)) break else Sys.sleep(0.1)
  expect_equal(capture.output(sim_logs(run, follow = TRUE)), rep("0001-0001 | line of 7 ", 10))
  expect_equal(capture.output(sim_logs(run, job = "0001-0001", follow = TRUE)), rep("line of 7 ", 10))
  expect_error(sim_logs(run, job = "0002-0001", follow = TRUE), "has no job 0002-0001", class = "simferry_error_usage")
})

test_that("what a replication left is found", {
  needs_python()
  run <- quiet_run(typed("function(n) list(kept = as.list(1:n))"), data.frame(n = 3), 2, seed = 1)
  expect_equal(readRDS(sim_artifacts(run, 1, 2)), list(kept = as.list(1:3)))
  expect_equal(sim_artifacts(run, 1, 3), character())
})

test_that("what replications returned whole is gathered, and columns keep their classes", {
  needs_python()
  returns <- typed("function(n) list(day = as.Date('2026-01-31') + n, took = as.difftime(n, units = 'mins'),
                                     arm = factor('b', c('b', 'a')), fit = lm(dist ~ speed, cars),
                                     ci = c(n, NA, NaN)[1:(n + 1)])")
  run <- quiet_run(returns, data.frame(n = 1:2 + 0), 1, seed = 1)
  expect_warning(rows <- sim_results(run), "value 'fit' .* is a lm, which no column")
  expect_equal(rows$day, as.Date("2026-01-31") + 1:2)
  expect_equal(rows$took, as.difftime(c(60, 120), units = "secs"))
  expect_equal(rows$arm, factor(c("b", "b"), c("b", "a")))
  expect_identical(rows$ci, list(c(1, NA), c(2, NA, NaN)))
  kept <- sim_values(run)
  expect_equal(names(kept), c("condition", "replication", "n", "value"))
  expect_equal(coef(kept$value[[2]]$fit), coef(lm(dist ~ speed, cars)))
  elsewhere <- tempfile()
  dir.create(elsewhere)
  file.copy(run$folder, elsewhere, recursive = TRUE)
  copy <- file.path(elsewhere, run$id)
  expect_error(sim_values(copy), "only R's readRDS reads", class = "simferry_error_usage")
  expect_equal(nrow(sim_values(copy, trust = TRUE)), 2L)
})

test_that("results are read by condition where they do not fit the memory", {
  needs_python()
  run <- quiet_run(draws, data.frame(n = c(3, 5, 7)), 2, seed = 1)
  whole <- as.data.frame(sim_results(run))
  some <- as.data.frame(sim_results(run, conditions = c(3, 1)))
  expect_equal(some, whole[whole$condition != 2, ], ignore_attr = "row.names")
  if (requireNamespace("arrow", quietly = TRUE)) {
    expect_equal(as.data.frame(sim_dataset(run)), whole)
  } else {
    expect_error(sim_dataset(run), "conditions = 1:10", class = "simferry_error_usage")
  }
})

test_that("a run that is gone, or another one's, is told", {
  needs_python()
  run <- quiet_run(draws, data.frame(n = 3), 2, seed = 1)
  unlink(run$folder, recursive = TRUE)
  expect_error(sim_results(run), class = "simferry_error_run_not_found")
  expect_output(print(run), "its folder is gone")
  expect_error(sim_results(5), "neither a run nor", class = "simferry_error_usage")
  expect_error(sim_results(getwd()), "no run", class = "simferry_error_run_not_found")
})

test_that("what has changed outside of the snapshot is told, and not gone on with", {
  needs_python()
  file <- normalizePath(tempfile(fileext = ".R"), mustWork = FALSE)
  store <- tempfile()
  writeLines("value <- 1", file)
  f <- typed(sprintf("function(n) { source('%s', local = TRUE); value }", file))
  plan <- sim_plan(f, data.frame(n = 1), 2, pilot = FALSE, store = store)
  expect_equal(as.data.frame(plan$code), data.frame(name = c("f", file), path = c("", file)))
  expect_output(print(plan), paste("code: f,", file), fixed = TRUE)
  run <- quiet_run(f, data.frame(n = 1), 2, seed = 1, store = store)
  writeLines("value <- 2", file)
  refused <- error_of(sim_extend(run, 3))
  expect_s3_class(refused, "simferry_error_simulation")
  expect_match(conditionMessage(refused), paste0("has changed since: ", file), fixed = TRUE)
  expect_match(conditionMessage(refused), "changed_code = TRUE continues this run", fixed = TRUE)
  expect_equal(sim_results(sim_extend(run, 3, changed_code = TRUE))$value, c(1, 1, 2))
  expect_equal(sim_results(quiet_run(f, data.frame(n = 1), 2, seed = 1, store = store))$value, c(2, 2))
})
