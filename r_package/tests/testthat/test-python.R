# A program that says of itself what a Python of this kind would.
pretend <- function(version, shared = 1, simferry = as.character(utils::packageVersion("simferry"))) {
  path <- tempfile("python-")
  writeLines(c("#!/bin/sh", sprintf("echo 'simferry: %s %d %s 2.0.0'", version, shared, simferry)), path)
  Sys.chmod(path, "755")
  list(path = path, why = "SIMFERRY_PYTHON")
}

with_environment <- function(values, code) {
  old <- Sys.getenv(names(values), NA, names = TRUE)
  do.call(Sys.setenv, as.list(values))
  on.exit(for (name in names(values)) if (is.na(old[[name]])) Sys.unsetenv(name) else do.call(Sys.setenv,
      as.list(old[name])))
  force(code)
}

test_that("a Python that can't be used is told, with why", {
  skip_on_os("windows")
  refused <- function(found, text) expect_error(check_python(found), text, class = "simferry_error_python")
  expect_silent(check_python(pretend("3.11.2")))
  refused(pretend("3.8.1"), "is Python 3.8.1; simferry needs 3.10 or newer")
  refused(pretend("3.11.2", simferry = "-"), "simferry is not installed in")
  refused(pretend("3.11.2", simferry = "9.9.9"), "is simferry 9.9.9, this R package")
  refused(pretend("3.11.2", shared = 0), "without a shared library")
  refused(list(path = "/bin/echo", why = "SIMFERRY_PYTHON"), "not a Python that works")
  newest <- newest_python(utils::packageVersion("reticulate"))
  if (!is.na(newest)) refused(pretend("3.99.0"), paste("works with Python", newest, "at the latest"))
})

test_that("which Python a reticulate can load", {
  expect_equal(newest_python(numeric_version("1.28")), "3.11")
  expect_equal(newest_python(numeric_version("1.35")), "3.12")
  expect_true(is.na(newest_python(numeric_version("1.41"))))
})

test_that("a Python that is named is used, or told to be missing", {
  python <- pretend("3.11.2")$path
  with_environment(c(SIMFERRY_PYTHON = python),
                   expect_equal(find_python(), list(path = python, why = "SIMFERRY_PYTHON")))
  with_environment(c(SIMFERRY_PYTHON = "", RETICULATE_PYTHON = python),
                   expect_equal(find_python()$why, "RETICULATE_PYTHON"))
  with_environment(c(SIMFERRY_PYTHON = "/nowhere/python"),
                   expect_error(find_python(), "there is no such program", class = "simferry_error_python"))
})

test_that("an environment's folder names the Python in it", {
  folder <- tempfile()
  dir.create(file.path(folder, "bin"), recursive = TRUE)
  expect_length(python_in(folder), 0)
  file.create(file.path(folder, "bin", "python"))
  expect_equal(python_in(folder), file.path(folder, "bin/python"))
  expect_length(python_in(NA), 0)
  with_environment(c(SIMFERRY_PYTHON = folder), expect_equal(find_python()$path, file.path(folder, "bin/python")))
})

# What another R session with this package says, and what it shows.
said_by <- function(lines, folder = tempdir(), variables = character())
  system2(file.path(R.home("bin"), "Rscript"), session_of(lines, folder), stdout = TRUE, stderr = TRUE, env = variables)

test_that("a project with a pyproject.toml does not change which Python is used, and nothing is said of it", {
  needs_python()
  folder <- tempfile()
  dir.create(folder)
  writeLines(c("[tool.poetry]", "name = \"another\""), file.path(folder, "pyproject.toml"))
  code <- c("invisible(loadNamespace('reticulate'))",
            "cat(nrow(sim_grid(n = 1:3)), Sys.getenv('RETICULATE_PYTHON', 'not set'))")
  expect_equal(said_by(code, folder, paste0("SIMFERRY_PYTHON=", session$python$path)), "3 not set")
})

test_that("a Python that reticulate was told to use is used, and reticulate makes no environment of its own", {
  needs_python()
  path <- session$python$path
  code <- c(sprintf("reticulate::use_python(%s, required = TRUE)", deparse(path)), "simferry:::python()",
            "cat(unlist(simferry:::session$python), sep = '\\n')")
  said <- said_by(code, variables = c("SIMFERRY_PYTHON=", "RETICULATE_PYTHON="))
  expect_equal(tail(said, 2), c(path, "reticulate was told to use it"))
  folder <- tempfile()   # of a user for whom nothing is installed yet
  nothing <- c("SIMFERRY_PYTHON=", "RETICULATE_PYTHON=managed", "VIRTUAL_ENV=", "CONDA_PREFIX=",
               paste0(c("R_USER_DATA_DIR=", "R_USER_CACHE_DIR=", "XDG_CACHE_HOME=", "HOME="), folder))
  said <- said_by(c("invisible(loadNamespace('reticulate'))",
                    "tryCatch(simferry:::python(), error = function(e) cat(conditionMessage(e)))"), variables = nothing)
  expect_match(said[1], "there is no Python environment with simferry yet")
  expect_false(dir.exists(folder))
})

test_that("without any Python the error says what to do", {
  none <- list(environment_folder = function() tempfile(), python_of_reticulate = function() NULL)
  with_environment(c(SIMFERRY_PYTHON = "", RETICULATE_PYTHON = "", CONDA_PREFIX = "", VIRTUAL_ENV = ""), with_mocks(
    none, expect_error(find_python(), "simferry_install()", fixed = TRUE, class = "simferry_error_python")))
})
