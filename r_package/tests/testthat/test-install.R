test_that("the source that the package carries is of its version", {
  file <- file.path(bundled_source(), "python", "simferry", "_version.py")
  expect_true(file.exists(file))
  expect_match(grep("^__version__", readLines(file), value = TRUE),
               paste0("\"", utils::packageVersion("simferry"), "\""), fixed = TRUE)
  expect_true(all(file.exists(file.path(bundled_source(),
                                        c("pyproject.toml", "README.md", "LICENSE", "containers/r/Dockerfile",
                                          "docs/iam/user.json")))))
})

test_that("the doctor tells what is used, and why", {
  needs_python()
  found <- simferry_doctor()
  expect_output(print(found), "ok  Python used: .*python.*: ")
  expect_true(all(c("reticulate", "simferry", "cores", "store", "AWS", "sagemaker-core", "obstore") %in% found$what))
})

test_that("the doctor tells what is missing, where there is no Python", {
  none <- list(start_python = function() raise("python", "there is no Python", "simferry_install() makes one"))
  before <- session$bridge
  session$bridge <- NULL
  on.exit(session$bridge <- before)
  expect_output(with_mocks(none, print(simferry_doctor())),
                "!!  Python used: there is no Python\n    simferry_install() makes one", fixed = TRUE)
})

test_that("no Python, or a wrong one, is told before anything is made", {
  with_path <- function(path, code) {
    old <- Sys.getenv("PATH")
    Sys.setenv(PATH = path)
    on.exit(Sys.setenv(PATH = old))
    force(code)
  }
  folder <- tempfile()
  dir.create(folder)
  with_path(folder,
            expect_error(simferry_install(), "there is no Python on this machine", class = "simferry_error_python"))
  skip_on_os("windows")
  writeLines(c("#!/bin/sh", "echo 'simferry: 3.7.1 1 - -'"), file.path(folder, "python3"))
  Sys.chmod(file.path(folder, "python3"), "755")
  with_path(folder,
            expect_error(simferry_install(), "is Python 3.7.1; simferry and reticulate .* need Python 3.10",
                         class = "simferry_error_python"))
  expect_error(simferry_install(python = "/nowhere/python"), "no such program", class = "simferry_error_python")
})

test_that("the environment in use is not made anew, another one of the same Python is no reason", {
  folder <- tempfile()
  dir.create(file.path(folder, "bin"), recursive = TRUE)
  before <- session$python
  on.exit(session$python <- before)
  install <- function() {
    with_mocks(list(environment_folder = function() folder,
                    suitable_python = function() raise("python", "it is looked for")), simferry_install())
  }
  session$python <- list(path = file.path(folder, "bin", "python"))
  expect_error(install(), "in use by this session", class = "simferry_error_python")
  session$python <- list(path = file.path(tempdir(), "bin", "python"))
  expect_error(install(), "it is looked for")
})

test_that("uninstalling removes what installing made", {
  folder <- tempfile("of-[me]-")
  other <- sub("[me]", "m", folder, fixed = TRUE)   # it fits the first one's name as a pattern
  for (path in c(folder, other)) dir.create(path)
  uninstall <- function() with_mocks(list(environment_folder = function() folder), simferry_uninstall())
  expect_message(there <- uninstall(), "Removed")
  expect_true(there)
  expect_true(dir.exists(other))
  expect_message(expect_false(uninstall()), "no environment")
})
