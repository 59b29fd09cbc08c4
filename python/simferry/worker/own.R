# The user's own code beside the snapshot: files that are sourced from elsewhere, and packages that were built here, for
# whose content no version stands. Packages that come with R, with Debian or from a repository are not the user's;
# simferry is not.

sourced <- new.env()   # of files that source() and sys.source() have read, by path: when they were changed last
reported_packages <- new.env()   # those that a script has loaded, by name
package_paths <- new.env()   # where a package of the user's lies, by name; "" of others

# From now on source() and sys.source() note what they read.
watch_source <- function() put_before(c("source", "sys.source"), bquote(.(note_source)(file)))

# Code that functions of base R run first.
put_before <- function(names, code) for (name in names) {
  value <- get(name, baseenv())
  body(value) <- call("{", code, body(value))
  unlockBinding(name, baseenv())
  assign(name, value, envir = baseenv())
  lockBinding(name, baseenv())
}

note_source <- function(file) tryCatch(
  if (is.character(file) && length(file) == 1L && !is.na(changed <- as.numeric(file.mtime(file)))) {
    path <- normalizePath(file)
    # written by what is known, as by Rcpp's sourceCpp()
    if (startsWith(path, paste0(normalizePath(tempdir()), "/"))) return()
    # read twice, and changed in between: neither content is the file's
    sourced[[path]] <- if (is.null(sourced[[path]]) || sourced[[path]] == changed) changed else -1
  }, error = function(e) NULL)

# Files and packages that a script has reported (below.R) count as if this process had read and loaded them.
note_reported <- function(folder) {
  reported <- function(file) if (file.exists(path <- file.path(folder, file))) unique(readLines(path, warn = FALSE))
  for (path in reported("sourced")) note_source(path)
  for (package in reported("packages")) reported_packages[[package]] <- TRUE
}

file_hash <- function(path) unname(tools::md5sum(path))

# Of all that is code, or that code finds, in a package as it is installed or as its source lies there; not when it was
# built.
package_hash <- function(path) {
  files <- list.files(path, recursive = TRUE)
  top <- sub("/.*$", "", files)
  files <- sort(files[!top %in% c("help", "html", "Meta", "doc", "man", "tests", "vignettes", "demo", "INDEX", "MD5",
                                  "DESCRIPTION") & !grepl("[.]o$", files)],
                method = "radix")
  list_file <- tempfile()
  on.exit(unlink(list_file, expand = FALSE))
  writeLines(enc2utf8(paste(files, tools::md5sum(file.path(path, files)))), list_file, useBytes = TRUE)
  file_hash(list_file)
}

# Where an own package lies; "" where it is none, or not there.
own_package <- function(package) {
  if (!is.null(package_paths[[package]])) return(package_paths[[package]])
  path <- if (isNamespaceLoaded(package)) tryCatch(getNamespaceInfo(package, "path"), error = function(e) NULL)
    else find.package(package, quiet = TRUE)
  description <- if (length(path)) file.path(path[1L], "DESCRIPTION") else ""
  own <- package != "simferry" && file.exists(description) && !startsWith(description, "/usr/lib/R/") &&
    !startsWith(description, paste0(.Library, "/")) && {
    fields <- read.dcf(description)
    remote <- grep("^Remote", colnames(fields), value = TRUE)
    local <- "RemoteType" %in% remote && fields[1L, "RemoteType"] == "local"
    !any(c("Priority", "Repository") %in% colnames(fields)) && (!length(remote) || local)
  }
  package_paths[[package]] <- if (own) normalizePath(path[1L]) else ""
}

# Own packages among these, and those that they depend on.
own_packages <- function(packages) {
  found <- character()
  todo <- packages
  while (length(todo)) {
    package <- todo[1L]
    todo <- todo[-1L]
    if (package %in% names(found) || !nzchar(path <- own_package(package))) next
    found[package] <- path
    needed <- read.dcf(file.path(path, "DESCRIPTION"), c("Depends", "Imports", "LinkingTo"))
    todo <- c(todo,
              unlist(regmatches(needed, gregexpr("[A-Za-z][A-Za-z0-9.]*(?=\\s*(,|[(]|$))", needed, perl = TRUE)),
                     use.names = FALSE))
  }
  found
}

# A data frame of name, path and hash. files: besides those that were sourced.
own_code <- function(job, packages = c(loadedNamespaces(), ls(reported_packages)), files = character()) {
  before <- compiler::enableJIT(0L)   # compiling this takes 40 ms, and running it 1
  on.exit(compiler::enableJIT(before))
  files <- union(files, ls(sourced, all.names = TRUE))
  inside <- project_code(job, files)
  # loading a package sources a file of its own
  for (known in c(normalizePath(job$root), normalizePath(c(.libPaths(), .Library), mustWork = FALSE)))
    files <- files[!startsWith(files, paste0(known, "/"))]
  hash <- vapply(files, function(path) {
    changed <- sourced[[path]]
    if (is.null(changed) || identical(changed, as.numeric(file.mtime(path)))) file_hash(path)
    else "changed while it was in use"
  }, "")
  packages <- own_packages(packages)
  data.frame(name = c(files, names(packages), names(inside)), path = c(files, packages, character(length(inside))),
             hash = c(hash, vapply(packages, package_hash, ""), inside), row.names = NULL, stringsAsFactors = FALSE)
}

# Hashes of those of the files that came along with a project, by their names relative to the script's folder. files: in
# the snapshot, or in the working directory of a process.
project_code <- function(job, files) {
  if (!nzchar(job$loaded_from)) return(character())
  files <- normalizePath(files, mustWork = FALSE)
  below <- function(folder) paste0(normalizePath(folder, mustWork = FALSE), "/")
  names <- character()
  for (folder in c(job$code, Sys.glob(file.path(job$root, "scratch", "*")), if (nzchar(job$output)) job$output)) {
    inside <- files[startsWith(files, below(folder))]
    names <- c(names, substring(inside, nchar(below(folder)) + 1L))
  }
  names <- unique(names[startsWith(names, paste0(job$loaded_from, "/")) & file.exists(file.path(job$code, names))])
  from <- strsplit(job$folder, "/", fixed = TRUE)[[1L]]
  relative <- vapply(strsplit(names, "/", fixed = TRUE), function(to) {
    same <- sum(cumprod(to[seq_along(from)] == from & !is.na(to[seq_along(from)])))
    paste(c(rep("..", length(from) - same), to[seq_along(to) > same]), collapse = "/")
  }, "")
  stats::setNames(file_hash(file.path(job$code, names)), relative)
}

# names of files that are code, by how they end; as in own.py
code_endings <- "[.](r|py|pyx|c|cpp|cc|h|hpp|f|f90|f95|stan|jl|sh|jags|bug|m)$"

# What the code of a job says that it sources and which packages it names, also where that is in a function.
own_code_mentioned <- function(job, code) {
  files <- packages <- character()
  walk <- function(x) {
    if (is.call(x)) {
      f <- if (is.name(x[[1L]])) as.character(x[[1L]])
        else if (is.call(x[[1L]]) && length(x[[1L]]) == 3L) as.character(x[[1L]][[3L]]) else ""
      first <- if (length(x) > 1L && !identical(x[[2L]], quote(expr = ))) x[[2L]]   # of matrix(, 2, 2) there is none
      name <- if (is.name(first) || is.character(first) && length(first) == 1L) as.character(first) else ""
      if (f %in% c("::", ":::", "library", "require", "requireNamespace", "loadNamespace", "attachNamespace") &&
          nzchar(name))
        packages <<- union(packages, name)
      if (f %in% c("source", "sys.source", "parse", "sourceCpp", "dyn.load"))
        for (given in Filter(is.character, as.list(x)[-1L]))
        if (length(given) == 1L) read(given)
      if (nzchar(job$loaded_from)) {   # "stan/model.stan", here("R", "fit.R")
        texts <- character()
        for (part in as.list(x)[-1L]) if (!missing(part) && is.character(part)) texts <- c(texts, part)
        for (text in grep(code_endings, c(texts, paste(texts, collapse = "/")), ignore.case = TRUE, value = TRUE))
          for (folder in c(job$folder, job$loaded_from)) read(file.path(normalizePath(job$code), folder, text))
      }
    }
    if (is.call(x) || is.expression(x) || is.pairlist(x)) for (part in as.list(x)) if (!missing(part)) walk(part)
  }
  read <- function(name) {
    path <- path.expand(name)
    if (!grepl("^(/|[A-Za-z]:)", path)) path <- file.path(job$code, job$folder, path)
    if (!file.exists(path) || dir.exists(path) || (path <- normalizePath(path)) %in% files) return()
    files <<- c(files, path)
    if (grepl("[.](stan|cc?|cpp|h|hpp|py|jl|sh)$", path)) return()
    walk(tryCatch(parse(path, keep.source = FALSE, encoding = "UTF-8"), error = function(e) NULL))
  }
  for (expression in code) walk(expression)
  list(files = files, packages = packages)
}

# The expressions in which a function that was sent may name what it uses: those of its globals, and of what it was made
# in.
code_of_objects <- function(objects) {
  found <- list()
  seen <- list()
  look <- function(x) {
    if (is.call(x)) found <<- c(found, list(x))
    if (!is.function(x) || is.primitive(x)) return()
    found <<- c(found, list(body(x)))
    home <- environment(x)
    while (!is.null(home) && !identical(home, globalenv()) && !identical(home, emptyenv()) &&
           !identical(home, baseenv()) && !isNamespace(home) && is.null(attr(home, "name"))) {
      for (e in seen) if (identical(e, home)) return()
      seen <<- c(seen, list(home))
      for (name in ls(home, all.names = TRUE)) if (!identical(home[[name]], quote(expr = ))) look(home[[name]])
      home <- parent.env(home)
    }
  }
  look(objects[["function"]])
  for (value in objects$globals) look(value)
  found
}

# Own code that this process has loaded and the run does not know, or knows with another content; a line for each: hash,
# name, path.
own_code_news <- function(job) {
  counted <- NULL
  text <- ""
  function() {
    now <- c(length(loadedNamespaces()), length(reported_packages), length(sourced),
             sum(as.numeric(mget(ls(sourced), sourced))))
    if (!identical(now, counted)) {
      counted <<- now
      own <- own_code(job)
      known <- strsplit(if (is.null(job$own_code)) "" else job$own_code, "\n", fixed = TRUE)[[1L]]
      own <- own[!paste(own$hash, own$name) %in% known, ]
      text <<- paste(own$hash, own$name, own$path, sep = "\t", collapse = "\n")
    }
    text
  }
}
