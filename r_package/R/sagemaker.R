#' Version 2's names of the SageMaker SDK
#'
#' Published R scripts use `reticulate::import("sagemaker")`, which no longer has these names. With this module instead
#' they run as they
#' are: `Session`, `get_execution_role`, `processing$Processor`, `processing$ScriptProcessor`,
#' `processing$ProcessingInput`, `processing$ProcessingOutput`, `estimator$Estimator`, `inputs$TrainingInput`,
#' `model$Model`, `predictor$Predictor`, `serializers`, `s3$S3Uploader` and `s3$S3Downloader`. R's `1` does for `1L`.
#'
#' The module asks AWS as the environment variables say when this function is called: set them, or those of the
#' emulator, before.
#'
#' @return The Python module, as reticulate has it.
#' @section Errors: `simferry_error_python`: there is no Python that can be used, or a package is missing in it. The
#'   module's own errors are reticulate's.
#' @examples
#' \dontrun{
#' sagemaker <- sim_sagemaker_module()   # instead of reticulate::import("sagemaker")
#' session <- sagemaker$Session()
#' processor <- sagemaker$processing$ScriptProcessor(
#'   role = sagemaker$get_execution_role(), image_uri = "simferry-r",
#'   command = list("/usr/bin/Rscript"),
#'   instance_count = 1, instance_type = "ml.m5.xlarge", sagemaker_session = session)
#' processor$run(code = "simulate.R", wait = TRUE, logs = TRUE)
#' }
#' @export
sim_sagemaker_module <- function() {
  bridge("sagemaker_module")
  reticulate::import("simferry.sagemaker")
}
