test_that("the library path that R adds is taken away again", {
  added <- "/usr/lib/R/lib:/x"
  session$ld_path <- added
  on.exit(session$ld_path <- NULL)
  expect_equal(without_r(""), "")
  expect_equal(without_r(added), "")
  expect_equal(without_r(paste0(added, ":/mine")), "/mine")
  expect_equal(without_r(paste0(added, ":", added, ":/mine:/other")), "/mine:/other")
  session$ld_path <- character()
  expect_equal(without_r("/anything"), "")
})

test_that("processes started from here find this R and its libraries", {
  now <- environment_now()
  expect_true(startsWith(now[["PATH"]], R.home("bin")))
  expect_equal(strsplit(now[["R_LIBS"]], .Platform$path.sep)[[1]], .libPaths())
  expect_false(any(grepl(R.home("lib"), now[names(now) == "LD_LIBRARY_PATH"], fixed = TRUE)))
})

test_that("every type of column crosses bit for bit, both ways", {
  needs_python()
  x <- data.frame(d = c(1.5, NA, NaN, -Inf, -0), i = c(1L, NA, -5L, .Machine$integer.max, 0L),
                  l = c(TRUE, NA, FALSE, TRUE, NA))
  x$s <- c("a", NA, "NA", "gr\u00fc\u00df \u4f60\u597d", "")
  x$f <- factor(c("u", NA, "v", "u", "u"), levels = c("v", "u"))
  x$date <- as.Date("2026-01-02") + c(0, NA, 2:4)
  x$time <- as.POSIXct("2026-01-02 03:04:05.25", tz = "Europe/Vienna") + c(0, NA, 2:4)
  x$list <- list(1, "a", NULL, list(b = 2L, c = raw(2)), c(k = TRUE))
  rdata <- reticulate::import("simferry.r.serialization")
  py <- reticulate::py_run_string(paste("from simferry.r.serialization import decode, encode",
                                           "def there_and_back(data): return encode(decode(data))", sep = "\n"))
  back <- unserialize(py$there_and_back(serialize(x, NULL, xdr = FALSE, version = 2L)))
  expect_identical(back, x)
  expect_identical(writeBin(back$d, raw()), writeBin(x$d, raw()))
})

test_that("warnings of Python are R's", {
  needs_python()
  run <- quiet_run(typed("function(n) exp(1) / n"), data.frame(n = 1), 5, seed = 1)
  expect_warning(sim_results(run), "same values in every replication", fixed = TRUE)
})

test_that("R goes on working after an error", {
  needs_python()
  e <- error_of(sim_open("nowhere", store = store <- tempfile()))
  expect_s3_class(e, "simferry_error_run_not_found")
  expect_match(e$hint, paste0("sim_list(store = \"", store, "\")"), fixed = TRUE)
  expect_equal(nrow(sim_grid(n = 1:2)), 2)
})

test_that("environment variables that R sets later are seen, and stay as they are", {
  needs_python()
  old_path <- Sys.getenv("PATH")
  Sys.setenv(SIMFERRY_TEST = "later", PATH = paste0(old_path, ":/later"))
  sim_grid(n = 1)
  expect_equal(Sys.getenv(c("SIMFERRY_TEST", "PATH"), names = FALSE), c("later", paste0(old_path, ":/later")))
  Sys.unsetenv("SIMFERRY_TEST")
  sim_grid(n = 1)
  expect_equal(Sys.getenv("SIMFERRY_TEST", NA), NA_character_)
  Sys.setenv(PATH = old_path)
  store <- tempfile()
  old <- Sys.getenv("SIMFERRY_STORE", NA)
  Sys.setenv(SIMFERRY_STORE = store)
  on.exit(if (is.na(old)) Sys.unsetenv("SIMFERRY_STORE") else Sys.setenv(SIMFERRY_STORE = old))
  run <- suppressMessages(sim_run(draws, data.frame(n = 1), 1, seed = 1))
  expect_equal(dirname(run$folder), store)
})
