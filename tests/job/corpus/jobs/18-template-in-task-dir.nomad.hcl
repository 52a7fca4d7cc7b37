# A template whose destination is written with the task's directory.
variable "images" {}

job "templated" {
  datacenters = ["dc1"]
  type        = "service"

  group "web" {
    task "web" {
      driver = "pot"

      template {
        data        = "GREETING=hello"
        destination = "${NOMAD_TASK_DIR}/environment"
        change_mode = "noop"
      }

      config {
        image   = var.images
        pot     = "web"
        tag     = "1.8"
        command = "/usr/local/bin/cook"
        args    = ["-f", "$${NOMAD_TASK_DIR}/environment"]
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
