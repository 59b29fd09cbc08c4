test_that("a grid has every combination, the last parameter varying fastest", {
  needs_python()
  design <- sim_grid(n = c(10, 20), method = c("a", "b"))
  expect_s3_class(design, c("simferry_design", "data.frame"), exact = TRUE)
  expect_equal(as.data.frame(design), data.frame(n = c(10, 10, 20, 20), method = c("a", "b", "a", "b")))
})

test_that("types are those of R", {
  needs_python()
  design <- sim_zip(n = c(10L, NA), x = c(NaN, NA), l = c(TRUE, NA), s = c("\u00fc", NA), f = factor(c("v", "u")),
                    d = as.Date("2026-01-01") + 0:1)
  expect_identical(as.list(as.data.frame(design)),
                   list(n = c(10L, NA), x = c(NaN, NA), l = c(TRUE, NA), s = c("\u00fc", NA), f = c("v", "u"),
                                                        d = c("2026-01-01", "2026-01-02")))
  expect_type(sim_table(data.frame(n = 1:2), types = c(n = "number"))$n, "double")
  expect_type(sim_grid(n = c(1, 2), types = c(n = "integer"))$n, "integer")
})

test_that("two integers are a range of whole numbers, two doubles one of real numbers, others a choice", {
  needs_python()
  design <- sim_random(200, n = c(1L, 3L), x = c(1, 3), m = c("a", "b"), k = list(1, 2.5), seed = 7)
  expect_setequal(design$n, 1:3)
  expect_type(design$n, "integer")
  expect_gt(length(unique(design$x)), 190)
  expect_setequal(design$m, c("a", "b"))
  expect_setequal(design$k, c(1, 2.5))
  expect_identical(design, sim_random(200, n = c(1L, 3L), x = c(1, 3), m = c("a", "b"), k = list(1, 2.5), seed = 7L))
})

test_that("a table can be a data frame, a list, or a file", {
  needs_python()
  file <- tempfile(fileext = ".csv")
  write.csv(data.frame(n = c(10, 20)), file, row.names = FALSE)
  expect_equal(sim_table(file)$n, c(10, 20))
  expect_equal(sim_table(list(n = c(10, 20))), sim_table(data.frame(n = c(10, 20), row.names = c("a", "b"))))
})

test_that("values may be vectors, and what is single is no list", {
  needs_python()
  design <- sim_grid(b = list(c(1, NA), c(0.5, NaN, -0), numeric()), k = list(1:2, 3L), s = list(c("a", "b")))
  expect_identical(design$b[c(1, 3, 5)], list(c(1, NA), c(0.5, NaN, -0), numeric()))
  expect_identical(design$k[1:2], list(1:2, 3L))
  expect_match(format(design), "b (number list), k (integer list), s (string list)", fixed = TRUE)
  expect_identical(sim_grid(n = list(10, 20)), sim_grid(n = c(10, 20)))
  given <- data.frame(n = 1:3, b = I(list(c(1, 2), NULL, 3)))
  expect_identical(sim_table(given)$b, list(c(1, 2), NULL, 3))
  described <- typed("function(n, b) list(same = b, kind = typeof(b))")
  rows <- sim_results(quiet_run(described, given, 1, seed = 1))
  expect_identical(rows$same, list(c(1, 2), NULL, 3))
  expect_identical(rows$kind, c("double", "NULL", "double"))
  expect_setequal(lengths(sim_random(20, b = list(1, c(2, 3)), x = c(0, 1))$b), 1:2)
  for (bad in list(list(c(a = 1)), list(diag(2)), list(list(1, 2)), list(factor("a"))))
    expect_error(sim_grid(b = bad), "A list with names passes any values", class = "simferry_error_design")
})

test_that("a list with names goes by these, and the simulation gets its values", {
  needs_python()
  share <- 0.4
  design <- sim_grid(method = list(mean = mean, trimmed = function(x) mean(x, trim = share)),
                     s = list(small = diag(2), large = diag(3)))
  expect_output(print(design), "method (by name), s (by name)", fixed = TRUE)
  expect_output(print(design[4, ]), "trimmed large")
  estimates <- typed("function(method, s) list(estimate = method(c(0, 1, 5)), rows = nrow(s))")
  rows <- sim_results(quiet_run(estimates, design, 1, seed = 1))
  expect_identical(rows$method, c("mean", "mean", "trimmed", "trimmed"))
  expect_equal(rows$estimate, c(2, 2, 1, 1))
  expect_identical(rows$rows, c(2L, 3L, 2L, 3L))
  draws_by <- typed("function(method, n) mean(rnorm(n)) + 0 * is.function(method)")
  by_name <- quiet_run(draws_by, data.frame(method = I(list(mean = mean, max = max)), n = 5), 1, seed = 1)
  as_text <- quiet_run(draws_by, sim_grid(method = c("mean", "max"), n = 5), 1, seed = 1)
  expect_identical(sim_results(by_name)$value, sim_results(as_text)$value)
  assign("offset_of_session", 2, globalenv())
  on.exit(rm("offset_of_session", envir = globalenv()))
  shifted <- quiet_run(typed("function(n, g) g(n)"), data.frame(n = 1), 1, seed = 1,
                       constants = list(g = typed("function(x) x + offset_of_session")))
  expect_identical(sim_results(shifted)$value, 3)
  expect_error(sim_grid(f = c(mean, max)), "f = list(first = ...", fixed = TRUE, class = "simferry_error_design")
  expect_error(sim_grid(f = list(y ~ x)), "holds a value of class formula", class = "simferry_error_design")
  expect_error(sim_grid(f = list(a = 1, 2)), "only some values have names", class = "simferry_error_design")
  expect_error(sim_grid(f = list(a = 1, a = 2)), "two different values", class = "simferry_error_design")
  expect_error(sim_run("s.R", design, 1), "only a function can get", class = "simferry_error_usage")
})

test_that("bad designs are told", {
  needs_python()
  expect_error(sim_grid(n = list(1, "a")), "parameter n mixes numbers and strings", class = "simferry_error_design")
  expect_error(sim_grid(n = numeric()), "no values", class = "simferry_error_design")
  expect_error(sim_grid(c(1, 2)), "no name", class = "simferry_error_design")
  expect_error(sim_grid(n = 1, n = 2), "given twice", class = "simferry_error_design")
  expect_error(sim_grid(n = c(1, 1)), "are equal", class = "simferry_error_design")
  expect_error(sim_grid(replication = 1), "can't be named", class = "simferry_error_design")
  expect_error(sim_zip(n = 1:2, m = 1:3), "different lengths", class = "simferry_error_design")
  expect_error(sim_random(3, n = 1:3), "neither a range nor a choice", class = "simferry_error_design")
  expect_error(sim_random(0, n = c(0, 1)), "size is 0; it has to be a whole number from 1",
               class = "simferry_error_design")
  expect_error(sim_table(data.frame(n = 1)[0, , drop = FALSE]), "no rows", class = "simferry_error_design")
})

test_that("a design prints what it is", {
  needs_python()
  expect_output(print(sim_grid(n = 1:12)), "a design of 12 conditions: n (integer)", fixed = TRUE)
  expect_output(print(sim_grid(n = 1:12)), "2 more conditions", fixed = TRUE)
})
