# An argument with a blank that must be split; a template whose lines are variables.
variable "images" {}
variable "host" {}

job "minio" {
  datacenters = ["dc1"]
  type        = "service"

  group "minio" {
    network {
      port "http" {}
    }

    task "minio" {
      driver = "pot"

      template {
        data        = <<EOT
MINIO_ACCESS_KEY="access"
MINIO_SECRET_KEY="sec$ret"
EOT
        destination = "secrets/file.env"
        env         = true
      }

      config {
        image   = var.images
        pot     = "minio"
        tag     = "1.0"
        command = "minio"
        args    = ["server", "--config-dir /usr/local/etc/minio", "/minio"]
        mount   = ["${var.host}/mnt/minio:/minio"]
        port_map = {
          http = "9000"
        }
      }

      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
