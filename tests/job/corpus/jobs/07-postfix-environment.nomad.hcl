# An empty argument means none; what the image needs comes from the environment, with quotes, # and $ in it.
variable "images" {}

job "backupmx-env" {
  datacenters = ["dc1"]
  type        = "service"

  group "mail" {
    network {
      port "smtp" {}
    }

    task "postfix" {
      driver = "pot"

      env {
        NETWORKS   = "10.10.10.10/32"
        DOMAINS    = "'example1.com, example2.com, example.de'"
        SMTPBANNER = "mx2.example1.com ESMTP $mail_name"
        PASSWORD   = "pa$$w0rd #1 \"it's\" `id` C:\\n"
      }

      config {
        image   = var.images
        pot     = "postfix-backupmx-nomad-amd64-13_1"
        tag     = "2.0.1"
        command = "/usr/local/bin/cook"
        args    = [""]
        port_map = {
          smtp = "25"
        }
      }

      resources {
        cpu    = 1000
        memory = 256
      }
    }
  }
}
