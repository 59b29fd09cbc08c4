test_that("loading the package loads neither reticulate nor Python", {
  code <- sprintf(".libPaths(%s); library(simferry); cat(loadedNamespaces())",
                  paste(deparse(.libPaths()), collapse = ""))
  loaded <- system2(file.path(R.home("bin"), "Rscript"), c("-e", shQuote(code)), stdout = TRUE)
  expect_false(any(c("reticulate", "cli", "globals", "rstudioapi") %in% strsplit(loaded, " ")[[1]]))
})

test_that("every function of R/ has its tests in a file of the same name", {
  skip_if_not(dir.exists("../../R"), "the source is not here")
  sources <- setdiff(sub("\\.R$", "", list.files("../../R")), "simferry-package")
  expect_true(all(file.exists(paste0("test-", sources, ".R"))))
})
