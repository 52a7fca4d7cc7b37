# A copy whose parent directories are missing in the image; a command without arguments; ssh.
variable "images" {}
variable "host" {}

job "backuppc" {
  datacenters = ["dc1"]
  type        = "service"

  group "backuppc" {
    network {
      port "ssh" {}
    }

    task "backuppc" {
      driver = "pot"

      config {
        image   = var.images
        pot     = "backuppc-nomad-amd64-13_1"
        tag     = "2.0.15"
        command = "/usr/local/bin/cook"
        copy    = ["${var.host}/backuppc/id_rsa:/home/backuppc/.ssh/id_rsa"]
        port_map = {
          ssh = "22"
        }
      }

      resources {
        cpu    = 1000
        memory = 2048
      }
    }
  }
}
