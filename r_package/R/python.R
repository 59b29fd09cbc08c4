# Which Python: found, checked, started. In this order: SIMFERRY_PYTHON, RETICULATE_PYTHON, one that reticulate has
# started or was told to use, an active conda or virtual environment that has simferry, that of simferry_install().

oldest_python <- "3.10"

start_python <- function() {
  if (!nzchar(system.file(package = "reticulate")))
    raise("python", "the R package reticulate is not installed", "install.packages(\"reticulate\")")
  found <- find_python()
  facts <- start_probe(found$path)
  loadNamespace("reticulate")   # takes half a second
  check_python(found, facts())
  session$python <- found
  # Named for the moment: otherwise reticulate looks at poetry's environments first, or makes one of its own.
  before <- Sys.getenv("RETICULATE_PYTHON", NA)
  Sys.setenv(RETICULATE_PYTHON = found$path)
  on.exit(if (is.na(before)) Sys.unsetenv("RETICULATE_PYTHON") else Sys.setenv(RETICULATE_PYTHON = before))
  tryCatch(
    suspendInterrupts({   # numpy can't be loaded again when its loading was broken off
      reticulate::import("simferry._rbridge.interrupts")$leave_to_r()
      reticulate::import("simferry._rbridge.call")
    }),
    error = function(e) raise("python", paste0("Python (", found$path, ") could not be started: ", conditionMessage(e)),
                              "simferry_doctor() tells more.")
  )
}

# list(path, why), or an error that says what to do.
find_python <- function() {
  for (variable in c("SIMFERRY_PYTHON", "RETICULATE_PYTHON")) {
    path <- Sys.getenv(variable)
    if (nzchar(path) && path != "managed") return(list(path = named_python(path, variable), why = variable))
  }
  found <- python_of_reticulate()
  if (!is.null(found)) return(found)
  for (variable in c("CONDA_PREFIX", "VIRTUAL_ENV")) {
    path <- python_in(Sys.getenv(variable, NA))
    if (length(path) && isTRUE(probe_python(path)$simferry != ""))
      return(list(path = path, why = paste(variable, "is active")))
  }
  path <- python_in(environment_folder())
  if (length(path)) return(list(path = path, why = "simferry_install() made it"))
  raise("python", "there is no Python environment with simferry yet",
        "simferry_install() makes one; SIMFERRY_PYTHON names one that exists.")
}

python_of_reticulate <- function() {
  if (!isNamespaceLoaded("reticulate")) return(NULL)
  if (reticulate::py_available())
    return(list(path = reticulate::py_config()$python, why = "it runs in this session already"))
  # not py_discover_config(): it looks for poetry's and conda's, and from reticulate 1.41 on it downloads a Python where
  # none is named
  required <- asNamespace("reticulate")$.globals$required_python_version
  if (length(required)) list(path = required, why = "reticulate was told to use it")
}

named_python <- function(path, variable) {
  path <- path.expand(path)
  if (dir.exists(path)) path <- c(python_in(path), path)[1]
  if (!file.exists(path) || dir.exists(path))
    raise("python", paste0(variable, " is ", path, ", and there is no such program"),
          "Name a Python, or unset the variable.")
  path
}

python_in <- function(folder) {
  if (is.na(folder) || !nzchar(folder)) return(character())
  path <- file.path(folder, c("bin/python", "Scripts/python.exe", "python.exe"))
  path[file.exists(path)][1][any(file.exists(path))]
}

# What a Python is, asked in a process of its own: version, whether R can load it, the simferry in it.
probe_python <- function(path) start_probe(path)()

# Starts that process. A function that waits for its answer.
start_probe <- function(path) {
  code <- paste(
    "import sys, sysconfig, importlib.metadata as m, importlib.util as u",
    "def version(name):",
    "    try: return m.version(name)",
    "    except Exception: return ''",
    "shared = sysconfig.get_config_var('Py_ENABLE_SHARED') or sysconfig.get_config_var('PYTHONFRAMEWORK')",
    "shared = shared or sys.platform == 'win32'",
    "try:",
    "    from simferry import __version__ as simferry",
    "    assert u.find_spec('simferry._rbridge.call')",
    "except (ImportError, AssertionError): simferry = ''",
    "version_of_python = '%d.%d.%d' % sys.version_info[:3]",
    "print('simferry:', version_of_python, int(bool(shared)), simferry or '-', version('numpy') or '-')", sep = "\n")
  con <- without_r_paths(pipe(paste(shQuote(path), "-c", shQuote(code), "2>&1"), "r"))
  function() {
    output <- readLines(con, warn = FALSE)
    suppressWarnings(close(con))
    line <- grep("^simferry: ", output, value = TRUE)
    if (!length(line))
      return(list(version = "", shared = FALSE, simferry = "", numpy = "", output = paste(output, collapse = "\n")))
    parts <- strsplit(line[1], " ", fixed = TRUE)[[1]]
    list(version = parts[2], shared = parts[3] == "1", simferry = sub("^-$", "", parts[4]),
         numpy = sub("^-$", "", parts[5]), output = "")
  }
}

# What a Python prints.
run_python <- function(path, arguments) {
  tryCatch(without_r_paths(suppressWarnings(system2(path, arguments, stdout = TRUE, stderr = TRUE))),
           error = function(e) structure(conditionMessage(e), status = 127L))
}

# Evaluates what starts a Python, without R's library path and what is meant for other Pythons.
without_r_paths <- function(expression) {
  before <- Sys.getenv(c("LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH"), NA)
  on.exit(do.call(Sys.setenv, as.list(before[!is.na(before)])))
  cleaned <- without_r(Sys.getenv("LD_LIBRARY_PATH"))
  if (nzchar(cleaned)) Sys.setenv(LD_LIBRARY_PATH = cleaned) else Sys.unsetenv("LD_LIBRARY_PATH")
  Sys.unsetenv("PYTHONHOME")
  expression
}

# The newest Python that a reticulate can load, or NA where there is no limit known.
newest_python <- function(reticulate) {
  if (reticulate < "1.34") "3.11" else if (reticulate < "1.40") "3.12" else NA
}

check_python <- function(found, facts = probe_python(found$path)) {
  where <- paste0(found$path, " (", found$why, ")")
  if (!nzchar(facts$version))
    raise("python", paste0(where, " is not a Python that works: ", facts$output), "simferry_doctor() tells more.")
  reticulate <- utils::packageVersion("reticulate")
  version <- sub("\\.[0-9]+$", "", facts$version)
  if (numeric_version(version) < oldest_python)
    raise("python", paste0(where, " is Python ", facts$version, "; simferry needs ", oldest_python, " or newer"),
          "simferry_install(python = \"/path/to/python3.11\")  makes an environment with another one.")
  newest <- newest_python(reticulate)
  if (!is.na(newest) && numeric_version(version) > newest)
    raise("python",
          paste0(where, " is Python ", facts$version, "; reticulate ", reticulate, " works with Python ", newest,
                 " at the latest"),
          "Update reticulate, or: simferry_install(python = \"/path/to/python3.11\")")
  if (!nzchar(facts$simferry))
    raise("python",
          paste0("simferry is not installed in ", where, if (nzchar(facts$output)) paste0(": ", facts$output)),
          paste0(shQuote(found$path), " -m pip install ", shQuote(bundled_source()),
                 "  installs it; simferry_install() makes an environment of its own."))
  if (facts$simferry != as.character(utils::packageVersion("simferry")))
    raise("python",
          paste0("the Python package in ", where, " is simferry ", facts$simferry, ", this R package ",
                 utils::packageVersion("simferry")),
          "simferry_install()  brings both to one version.")
  if (!facts$shared)
    raise("python", paste0(where, " was built without a shared library, which R needs"),
          "Use the system's Python, conda's, or one built with --enable-shared: simferry_install(python = ...)")
  invisible(facts)
}
