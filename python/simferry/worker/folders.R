# Working directories: each process has one of its own, which shows the files that came along with the script.
#
# They are copies, made once for a process. What a replication wrote there is found by names, sizes and times, moved
# away, and what it had changed is made anew. Of large files only one copy is shared by all processes: a link. A process
# that finds one of those written to keeps nothing of what it has not saved yet, and the job is done again with copies
# of all. docs/decisions/working-directories.md tells why.

worker_files <- c("worker.R", "worker.py", "simferry_worker", "profile.R", "cluster.R", "private_mount.sh")
# of the included files together, for each process; what is above is shared
copied_bytes <- 16 * 2^20
copied_files <- 1000L
# the time of all folders: whatever is made in one now gives it another
long_ago <- .POSIXct(1e9)

# What changes when a file does.
stamps <- function(paths) unclass(file.info(paths, extra_cols = FALSE))[c("size", "mode", "mtime", "ctime")]

is_link <- function(paths) {
  to <- Sys.readlink(paths)
  !is.na(to) & nzchar(to)
}
is_folder <- function(paths) dir.exists(paths) & !is_link(paths)
is_cache <- function(names) names == "__pycache__" | startsWith(names, "sourceCpp-")   # of compiled code

# Folders that came along with the script by their names alone; they are made beside it where that can be written to.
empty_folders <- function(code) {
  listed <- file.path(code, "simferry_worker", "folders")
  names <- if (file.exists(listed)) readLines(listed, encoding = "UTF-8")
  for (name in names) dir.create(file.path(code, name), recursive = TRUE, showWarnings = FALSE)
  names
}

# Names of files in it to which this process may write, as far as the system tells: a database that a script opened.
held_open <- function(folder) {
  paths <- Sys.readlink(numbers <- list.files("/proc/self/fd", full.names = TRUE))
  folder <- paste0(normalizePath(folder), "/")
  inside <- startsWith(paths, folder)
  writes <- vapply(sub("/fd/", "/fdinfo/", numbers[inside], fixed = TRUE), function(info) {
    flags <- grep("^flags:", tryCatch(readLines(info), error = function(e) ""), value = TRUE)
    any(strtoi(sub("^flags:[[:space:]]*0*", "", flags), 8L) %% 4L > 0L)
  }, NA)
  unique(substring(paths[inside][writes], nchar(folder) + 1L))
}

# What came along with the script, by its name in a working directory: folders, files to copy, and files to share.
included_files <- function(job) {
  names <- list.files(job$code, all.files = TRUE, recursive = TRUE, include.dirs = TRUE, no.. = TRUE)
  parts <- strsplit(names, "/", fixed = TRUE)
  hidden <- vapply(parts, function(part) part[1L] %in% c(worker_files, job$objects) || any(is_cache(part)), NA)
  names <- names[!hidden]
  info <- file.info(file.path(job$code, names), extra_cols = FALSE)
  files <- which(!info$isdir)
  files <- files[order(info$size[files])]
  copied <- nzchar(job$copies) | cumsum(info$size[files]) <= copied_bytes & seq_along(files) <= copied_files
  # two changes within a step of the clock can't be told apart
  if (any(as.numeric(Sys.time()) - as.numeric(info$mtime) < 0.02)) Sys.sleep(0.02)
  code <- normalizePath(job$code)
  shared <- file.path(code, names[files[!copied]])
  list(code = code, folders = union(names[info$isdir], empty_folders(job$code)), copied = names[files[copied]],
       shared = names[files[!copied]], was = stamps(shared))
}

# The name of a shared file that was written to, if there is one.
shared_changed <- function(included) {
  if (!length(included$shared)) return("")
  now <- stamps(file.path(included$code, included$shared))
  changed <- Reduce(`|`, Map(function(now, was) is.na(now) | now != was, now, included$was))
  c(included$shared[changed], "")[1L]
}

# A working directory, emptied if it is there. changed(): whether anything was written since it was made. written():
# names of what is there and does not belong there as it is. tidy(keep): makes it as it was; all that was written is
# moved into the folder `keep`, or removed. Returns its names. own: this process is to work there, and not a program
# that it starts.
working_folder <- function(job, path, own = TRUE) {
  included <- job$included
  dir.create(path, recursive = TRUE, showWarnings = FALSE)
  path <- normalizePath(path)
  # where functions begin: where the script went while it was loaded
  inside <- startsWith(paste0(getwd(), "/"), paste0(included$code, "/"))
  home <- if (inside) paste0(path, substring(getwd(), nchar(included$code) + 1L)) else getwd()
  folders <- c(path, file.path(path, included$folders))
  files <- file.path(path, included$copied)
  state <- NULL
  look <- function() list(getwd(), stamps(c(folders, files)))

  make <- function() {
    make_missing(job, path, folders)
    for (folder in folders[file.mtime(folders) != long_ago]) Sys.setFileTime(folder, long_ago)
    if (own) setwd(home)
    state <<- look()
  }
  same_files <- function(names) {   # of the copies
    if (!length(names)) return(logical())
    now <- stamps(file.path(path, names))
    was <- lapply(state[[2L]], `[`, match(file.path(path, names), c(folders, files)))
    Reduce(`&`, Map(function(now, was) !is.na(now) & now == was, now, was)) & !is_link(file.path(path, names))
  }
  written <- function(below = NULL) {
    names <- list.files(paste(c(path, below), collapse = "/"), all.files = TRUE, no.. = TRUE)
    names <- names[!is_cache(names)]
    if (!is.null(below)) names <- paste0(below, "/", names)[seq_along(names)]
    known <- names %in% included$folders & is_folder(file.path(path, names))
    as_made <- known | names %in% included$copied
    as_made[!known & as_made] <- same_files(names[!known & as_made])
    linked <- names %in% included$shared
    as_made[linked] <- Sys.readlink(file.path(path, names[linked])) == file.path(included$code, names[linked])
    c(names[!as_made], unlist(lapply(names[known], written)))
  }
  tidy <- function(keep = NULL) {
    found <- written()
    kept_as <- artifact_names(found, job$folder)
    # touched, or written to with what it held
    came_so <- vapply(found, function(name) name %in% c(included$copied, included$shared) &&
                        same_content(file.path(path, name), file.path(included$code, name)), NA)
    for (name in found) {
      from <- file.path(path, name)
      if (!is.null(keep) && !came_so[[name]] && !move(from, file.path(keep, kept_as[[name]])))
        give_up(job, "disk: ", file.path(keep, kept_as[[name]]), " can't be written")
      unlink(from, recursive = TRUE, force = TRUE, expand = FALSE)
    }
    make()
    unname(kept_as[found[!came_so]])
  }
  unlink(list.files(path, all.files = TRUE, full.names = TRUE, no.. = TRUE), recursive = TRUE, force = TRUE,
         expand = FALSE)
  make()
  if (own) move_here(included$code, home)
  as_made <- function(name) {
    name %in% included$copied && same_files(name) || name %in% included$shared &&
      identical(Sys.readlink(file.path(path, name)), file.path(included$code, name))
  }
  list(path = path, as_made = as_made, tidy = tidy, written = written, changed = function() !identical(look(), state))
}

# here::here() keeps the folder that it found when it was loaded. Where that is in the snapshot, it is to be this
# process's own.
move_here <- function(code, home) if (isNamespaceLoaded("here")) tryCatch({
  space <- getNamespace("here")
  root <- normalizePath(space$here(), mustWork = FALSE)
  if (startsWith(paste0(root, "/"), paste0(code, "/"))) space$do_refresh_here(home)
}, error = function(e) NULL)

# Names of artifacts: relative to the script's folder for what was written there, else to the project's folder. Where
# both lead to one name, the file in the script's folder has its name relative to the project's, too.
artifact_names <- function(written, folder) {
  kept <- stats::setNames(written, written)
  if (!nzchar(folder) || !length(written)) return(kept)
  top <- paste0(sub("/.*$", "", folder), "/")
  kept[] <- ifelse(startsWith(written, top), substring(written, nchar(top) + 1L), written)
  beside <- startsWith(written, paste0(folder, "/"))
  above <- paste0(kept[!beside], "/")
  for (name in written[beside]) {
    short <- substring(name, nchar(folder) + 2L)
    begins <- paste0(short, "/")
    if (!any(startsWith(begins, above) | startsWith(above, begins))) kept[[name]] <- short
  }
  kept
}

# Makes the folders, copies and links that are not there.
make_missing <- function(job, path, folders) {
  included <- job$included
  check_made <- function(made, path) if (!made) give_up(job, "disk: ", path, " can't be made")
  for (folder in folders[!dir.exists(folders)]) check_made(dir.create(folder, showWarnings = FALSE), folder)
  missing <- function(names) names[!file.exists(file.path(path, names)) & !is_link(file.path(path, names))]
  for (name in missing(included$copied)) {
    to <- file.path(path, name)
    check_made(file.copy(file.path(included$code, name), to, copy.date = TRUE), to)
  }
  for (name in missing(included$shared)) file.symlink(file.path(included$code, name), file.path(path, name))
}

move <- function(from, to) {
  dir.create(dirname(to), recursive = TRUE, showWarnings = FALSE)
  unlink(to, recursive = TRUE, force = TRUE, expand = FALSE)
  if (is_folder(from) && file.access(from, 2L) != 0L) Sys.chmod(from, "755")
  # a mount point, or another disk: copy
  suppressWarnings(file.rename(from, to)) || all(file.copy(from, dirname(to), recursive = TRUE, copy.date = TRUE))
}

same_content <- function(one, other) {
  if (is_link(one) || dir.exists(one)) return(FALSE)
  info <- file.info(c(one, other), extra_cols = FALSE)
  if (!identical(info$size[1L], info$size[2L]) || !identical(info$mode[1L], info$mode[2L])) return(FALSE)
  connections <- list(file(one, "rb"), file(other, "rb"))
  on.exit(for (connection in connections) close(connection))
  repeat {
    parts <- lapply(connections, readBin, "raw", 2^22)
    if (!identical(parts[[1L]], parts[[2L]])) return(FALSE)
    if (!length(parts[[1L]])) return(TRUE)
  }
}
