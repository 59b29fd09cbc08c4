#' The Python that simferry uses
#'
#' `simferry_install()` makes a virtual environment with the Python package that this R package carries, in versions
#' that this reticulate can work with. `simferry_uninstall()` removes it again. `simferry_doctor()` tells which Python
#' is used and why, what is installed, and what is missing.
#'
#' Python is looked for in this order: `SIMFERRY_PYTHON`, `RETICULATE_PYTHON`, a Python that reticulate has started or
#' was told to use (`reticulate::use_condaenv()` and its kin), an active conda or virtual environment with simferry in
#' it, the environment that `simferry_install()` made. A Python that you name is checked, and not changed.
#'
#' @param python `[character(1)]` the Python to make the environment with. `NULL`: the newest on the `PATH` that fits.
#' @param extras `[character]` optional parts to install: `"sagemaker"` for
#'   [sim_sagemaker()], [sim_batch()] and runs in S3 (some 450 MB), `"emulator"` for rehearsals without an account.
#' @param quiet `[logical(1)]` do not show pip's output.
#' @param store `[character(1)]` the folder in which runs live. `NULL`: `SIMFERRY_STORE`, or `./simferry-runs`.
#' @return `simferry_install()`: the folder of the environment, invisibly. `simferry_uninstall()`: whether there was
#'   one, invisibly. `simferry_doctor()`: a data frame of class `simferry_doctor`: `what`, `ok` (`NA`: something that
#'   only some users need), `found`, `hint`.
#' @section Errors: `simferry_error_python`: no Python that fits, or pip failed.
#' @examples
#' \dontrun{
#' simferry_install()
#' simferry_install(extras = c("sagemaker", "emulator"))
#' simferry_doctor()
#' }
#' @export
simferry_install <- function(python = NULL, quiet = FALSE, extras = NULL) {
  unknown <- setdiff(extras, c("sagemaker", "emulator"))
  if (length(unknown)) raise("usage", paste0("there is no extra ", unknown[1]), "There are: sagemaker, emulator.")
  folder <- environment_folder()
  if (!is.null(session$python) &&
      startsWith(normalizePath(dirname(session$python$path), mustWork = FALSE),
                 normalizePath(folder, mustWork = FALSE)))
    raise("python", "the environment is in use by this session", "Restart R, then: simferry_install()")
  if (is.null(python)) python <- suitable_python() else check_version(named_python(python, "python"))
  message("Making ", folder, " with ", python, " (Python ", probe_python(python)$version,
          ").\nsimferry_uninstall() removes it.")
  unlink(folder, recursive = TRUE, expand = FALSE)
  dir.create(dirname(folder), recursive = TRUE, showWarnings = FALSE)
  step(python, c("-m", "venv", shQuote(folder)), quiet = TRUE, hint = "Debian, Ubuntu: apt-get install python3-venv")
  source <- bundled_source()
  copy <- tempfile("simferry-source-")   # pip builds in place, and R's library may not be writable
  dir.create(copy)
  on.exit(unlink(copy, recursive = TRUE, expand = FALSE))
  file.copy(source, copy, recursive = TRUE)
  # an old reticulate converts no arrays of numpy 2: not needed here, but where this environment is used for other
  # things; newer versions of the others need numpy 2
  old <- if (utils::packageVersion("reticulate") < "1.38") shQuote(c("numpy<2", "pandas<3", "pyarrow<20"))
  message("Installing simferry ", utils::packageVersion("simferry"), " and the Python packages that it needs.")
  complete <- FALSE
  on.exit(if (!complete) unlink(folder, recursive = TRUE, expand = FALSE), add = TRUE)
  step(python_in(folder),
       c("-m", "pip", "install", "--disable-pip-version-check",
         shQuote(sprintf("%s[%s]", file.path(copy, basename(source)),
                         paste(c("design", "docker", extras), collapse = ","))), old),
       quiet, hint = "Is there a network? pip's messages are above.")
  step(python_in(folder), c("-c", shQuote("import simferry.verbs.run")), quiet = TRUE,
       hint = "These versions do not go together: please report it.")
  check_python(list(path = python_in(folder), why = "simferry_install() made it"))
  complete <- TRUE
  message("Done. simferry_doctor() shows what is used.")
  invisible(folder)
}

step <- function(python, arguments, quiet, hint) {
  output <- run_python(python, arguments)
  status <- attr(output, "status")
  if (!quiet && length(output)) message(utils::tail(output, 1L))
  if (!is.null(status) && status != 0)
    raise("python",
          paste0(paste(c(python, arguments), collapse = " "), " failed: ",
                 paste(utils::tail(output, 5L), collapse = "\n")), hint)
}

#' @rdname simferry_install
#' @export
simferry_uninstall <- function() {
  folder <- environment_folder()
  there <- dir.exists(folder)
  unlink(folder, recursive = TRUE, expand = FALSE)
  message(if (there) paste("Removed", folder) else "There was no environment to remove.")
  invisible(there)
}

#' @rdname simferry_install
#' @export
simferry_doctor <- function(store = NULL) {
  row <- function(what, ok, found, hint = "") {
    data.frame(what = what, ok = ok, found = found, hint = hint, stringsAsFactors = FALSE)
  }
  rows <- rbind(
    row("R package simferry", TRUE, as.character(utils::packageVersion("simferry"))),
    row("reticulate", TRUE, as.character(utils::packageVersion("reticulate")))
  )
  rows <- tryCatch({
    there <- bridge("version")
    more <- bridge("doctor", store = store)
    rbind(rows, row("Python used", TRUE, paste0(session$python$path, ": ", session$python$why)), more)
  }, simferry_error = function(e) rbind(rows, row("Python used", FALSE, sub("\n.*", "", conditionMessage(e)), e$hint)))
  structure(rows, class = c("simferry_doctor", "data.frame"))
}

#' @export
format.simferry_doctor <- function(x, ...) {
  mark <- ifelse(is.na(x$ok), "--", ifelse(x$ok, "ok", "!!"))
  paste0(mark, "  ", x$what, ": ", x$found, ifelse(nzchar(x$hint), paste0("\n    ", x$hint), ""))
}

#' @export
print.simferry_doctor <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}

environment_folder <- function() file.path(tools::R_user_dir("simferry", "data"), "python")

# The Python package's source, as this R package carries it.
bundled_source <- function() system.file("python", package = "simferry")

# The newest Python on the PATH that simferry and this reticulate can work with.
suitable_python <- function() {
  newest <- newest_python(utils::packageVersion("reticulate"))
  minor <- 10:if (is.na(newest)) 13 else as.integer(sub("3.", "", newest, fixed = TRUE))
  candidates <- unname(Sys.which(c(paste0("python3.", rev(minor)), "python3", "python")))
  # on the PATH once reticulate has started it
  own <- paste0(normalizePath(environment_folder(), mustWork = FALSE), "/")
  candidates <- unique(candidates[nzchar(candidates) & !startsWith(candidates, own)])
  if (!length(candidates))
    raise("python", "there is no Python on this machine",
          "Debian, Ubuntu: apt-get install python3 python3-venv; others: https://www.python.org")
  for (path in candidates) if (is.null(tryCatch(check_version(path), simferry_error = function(e) e))) return(path)
  check_version(candidates[1])
}

# NULL, or an error: whether an environment can be made with it.
check_version <- function(path) {
  facts <- probe_python(path)
  range <- paste0("Python ", oldest_python,
                  if (is.na(newest <- newest_python(utils::packageVersion("reticulate")))) " or newer"
                  else paste(" to", newest))
  version <- if (nzchar(facts$version)) numeric_version(sub("\\.[0-9]+$", "", facts$version))
  if (is.null(version) || version < oldest_python || (!is.na(newest) && version > newest))
    raise("python",
          paste0(path, " is ", if (is.null(version)) "not a Python that works" else paste0("Python ", facts$version),
                 "; simferry and reticulate ",
                           utils::packageVersion("reticulate"), " need ", range),
          "Install one, or name it: simferry_install(python = \"/path/to/python3.11\")")
  if (!facts$shared)
    raise("python", paste0(path, " was built without a shared library, which R needs"),
          "Use the system's Python, conda's, or one built with --enable-shared.")
  NULL
}

python_is_there <- function() is.null(tryCatch({
  check_python(find_python())
  NULL
}, error = function(e) e))
